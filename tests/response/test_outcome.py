import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, none, sampled_from

from carkinetics.errors import ConfigError, DataError
from carkinetics.response.outcome import parse_outcome

SUBJECTS = pd.DataFrame(
    {
        "subject": ["a", "b", "c", "d"],
        "crs_grade": [3, 1, np.nan, 4],
        "response": ["CR", "PD", "PR", None],
        "change": [-40.0, 25.0, -5.0, 0.0],
        "died": [False, True, False, False],
        "flag": [1, 0, 1, 0],
    }
)
NA = None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("crs_grade >= 3", [True, False, NA, True]),
        ("3 <= crs_grade", [True, False, NA, True]),
        ("crs_grade != 1", [True, False, NA, True]),
        ("response in ['CR', 'PR']", [True, False, True, NA]),
        ("response not in ('CR', 'PR')", [False, True, False, NA]),
        ("response == 'CR'", [True, False, False, NA]),
        ("change <= -30", [True, False, False, False]),
        ("died", [False, True, False, False]),
        ("flag", [True, False, True, False]),
        ("not died", [True, False, True, True]),
        ("crs_grade >= 3 and died", [False, False, False, False]),
        ("crs_grade >= 3 or died", [True, True, NA, True]),
        ("crs_grade >= 1 and crs_grade < 4", [True, True, NA, False]),
    ],
)
def test_comparisons_give_true_false_and_missing(text, expected):
    result = parse_outcome(text, SUBJECTS)
    assert [None if pd.isna(value) else bool(value) for value in result] == expected
    assert result.index.tolist() == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("crs_grad >= 3", "'crs_grad', which is not a column of subjects; did you mean 'crs_grade'"),
        ("crs_grade >=", "cannot be read"),
        ("__import__('os').system('true')", "is not allowed"),
        ("crs_grade.max() > 3", "is not a column"),
        ("crs_grade + 1 > 3", "is not a column"),
        ("crs_grade > change", "is not a number"),
        ("1 < crs_grade < 4", "join two comparisons by and"),
        ("crs_grade == [1, 2]", "a list goes with in"),
        ("crs_grade in 3", "a list goes with in"),
        ("crs_grade in [[1], 2]", "a list inside a list"),
        ("[x for x in subject]", "is not allowed"),
        ("lambda: 1", "is not allowed"),
        ("crs_grade if died else flag", "is not allowed"),
        ("crs_grade >= None", "is not a number"),
    ],
)
def test_what_is_not_on_the_list_is_refused(text, part):
    with pytest.raises(ConfigError, match=part):
        parse_outcome(text, SUBJECTS)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("response >= 3", "column 'response' holds text and is compared with 3"),
        ("crs_grade == '3'", "column 'crs_grade' holds numbers and is compared with '3'"),
        ("change", "is not true/false"),
    ],
)
def test_text_is_not_compared_with_numbers(text, part):
    with pytest.raises(DataError, match=part):
        parse_outcome(text, SUBJECTS)


@given(
    grades=lists(none() | integers(0, 5), min_size=1, max_size=8),
    limit=integers(0, 5),
    op=sampled_from(["<", "<=", ">", ">=", "==", "!="]),
)
def test_a_comparison_and_its_negation_leave_the_same_subjects_missing(grades, limit, op):
    column = pd.array(grades, dtype="Int64")
    subjects = pd.DataFrame({"subject": [str(i) for i in range(len(grades))], "grade": column})
    plain, negated = (parse_outcome(f"{word}(grade {op} {limit})", subjects) for word in ("", "not "))
    assert plain.isna().tolist() == [grade is None for grade in grades]
    assert (plain.dropna() != negated.dropna()).all()
