"""What a user is told while a run goes on."""

from carkinetics.fit.goal import Goal, Progress, how_far


def test_time_left_is_in_proportion_to_the_draws_that_are_missing():
    said = how_far(Progress(100.0, 1.03), Goal(ess=400), 20.0)
    assert said == "after 20 s: ESS 100 of 400, R-hat 1.030; some 60 s left"


def test_before_there_is_a_sample_size_nothing_is_promised():
    assert how_far(Progress(0.0, float("inf")), Goal(), 5.0) == "after 5 s: still too early to say"
