from carkinetics.diagnostics import population_correlations
from carkinetics.plot import correlations


def test_every_pair_has_its_number_once(dose_fit, rendered):
    ax = correlations(dose_fit)
    assert rendered(ax)
    matrix = population_correlations(dose_fit)
    n = len(matrix)
    assert len(ax.texts) == n * (n - 1) // 2
    for text in ax.texts:
        j, i = map(round, text.get_position())
        assert i > j
        assert float(text.get_text()) == round(matrix.iloc[i, j], 2)
    assert [label.get_text() for label in ax.get_yticklabels()] == matrix.index.tolist()[1:]
