from carkinetics.diagnostics import residual_summary
from carkinetics.report.goodness import IWRES_WORDS, goodness_of_fit


def test_both_kinds_of_axes_and_the_numbers_of_the_residuals(good_fit):
    panels, linear, table = goodness_of_fit(good_fit, "")
    assert len(panels.figure.axes) == 6
    assert [ax.get_xscale() for ax in linear.figure.axes] == ["linear", "linear"]
    assert linear.folded, "the peaks are a second look"
    summary = residual_summary(good_fit)
    assert [row[0] for row in table.rows] == [IWRES_WORDS[name] for name in summary.index]
    by_name = {row[0]: row for row in table.rows}
    assert by_name["Samples"][3] == str(len(good_fit.observations))
    assert by_name["ε-shrinkage, %"][3] == f"{summary.loc['epsilon_shrinkage', 'all']:.0f}"
    assert by_name["Standard deviation"][1] == "1.00"


def test_a_fit_that_did_not_converge_is_marked_in_each(bad_fit):
    assert {block.warning for block in goodness_of_fit(bad_fit, "not converged")} == {"not converged"}
