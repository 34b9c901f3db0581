"""Figures of tumours: waterfall, spider, swimmer, survival, and what they say in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from carkinetics import plot
from carkinetics.dataset import Dataset
from carkinetics.plot.style import PALETTE
from carkinetics.plot.swimmer import pages
from carkinetics.plot.tumour import NEW_LESION, PROGRESSION, RESPONSE
from carkinetics.report.blocks import Block, Picture
from carkinetics.report.figures import dose_words
from carkinetics.report.images import picture
from carkinetics.report.written import MISSING
from carkinetics.response.analysis_words import counted
from carkinetics.response.recist import EXACT
from carkinetics.response.survival import kaplan_meier
from carkinetics.response.tumour_outcome import tumour_groups

BARS = 45  # of a swimmer plot on a sheet of A4
UNSEEN = "new lesion, or\nprogression that\nsizes do not show"
ENDPOINTS = {
    "dor": "Duration of response",
    "pfs": "Progression-free survival",
    "os": "Overall survival",
}
AXES = {"dor": "Still in response", "pfs": "Progression-free", "os": "Alive"}


def _by(data: Dataset) -> tuple[pd.Series | None, str]:
    """Dose groups, if they can be told apart, and their name."""
    groups = tumour_groups(data)
    if groups is None or groups.nunique() > len(PALETTE):
        return None, ""
    return groups, dose_words(data)


def day(value: float) -> str:
    """A day as trials count them: without decimals that nobody has measured.

    Parameters
    ----------
    value : float
        Days; infinite for a median that is not reached.

    Returns
    -------
    str
        A dash where it is missing.

    Examples
    --------
    >>> day(84.0), day(42.5), day(float("inf"))
    ('84', '42.5', 'not reached')
    """
    return MISSING if np.isnan(value) else f"{value:.4g}" if np.isfinite(value) else "not reached"


def days(value: float) -> str:
    """A number of days with its unit.

    Parameters
    ----------
    value : float
        As for `day`.

    Returns
    -------
    str
        Without a unit where there is no number.

    Examples
    --------
    >>> days(84.0), days(1.0), days(float("inf"))
    ('84 days', '1 day', 'not reached')
    """
    return f"{day(value)} day{'' if value == 1 else 's'}" if np.isfinite(value) else day(value)


def signed(value: float, decimals: int = 0) -> str:
    """A change with its sign, and a true minus as on the axes.

    Parameters
    ----------
    value : float
        In percent.
    decimals : int
        How many.

    Returns
    -------
    str
        A dash where it is missing.

    Examples
    --------
    >>> signed(-30.04, 1), signed(20.0)
    ('−30.0', '+20')
    """
    return MISSING if np.isnan(value) else f"{value:+.{decimals}f}".replace("-", "−")


def _new(responses: pd.DataFrame) -> str:
    return UNSEEN if responses.attrs.get("unseen") else NEW_LESION


def sizes(responses: pd.DataFrame, data: Dataset, best: pd.DataFrame) -> tuple[Block, ...]:
    """Waterfall of the best change, spider of all changes.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response`.
    data : Dataset
        Whose doses.
    best : pandas.DataFrame
        Of `carkinetics.response.tumour_outcome.best_responses`.

    Returns
    -------
    tuple of Block
        Two pictures; none where no size was measured after the baseline.
    """
    change = best["change_pct"].dropna()
    if change.empty:
        return ()
    groups, words = _by(data)
    look: dict[str, Any] = {
        "by": groups,
        "by_label": words[:1].upper() + words[1:],
        "new_label": _new(responses),
    }
    n = counted(len(change), "patient")
    new = " ".join(_new(responses).split())
    shrunk, grown = int((change <= RESPONSE + EXACT).sum()), int((change >= PROGRESSION - EXACT).sum())
    marked = int(best.loc[change.index, "new_lesion_day"].notna().sum())
    alt = (
        f"Bars of the best change of the target lesions of {n}, from {signed(change.max())} to {signed(change.min())} %: {shrunk} "
        f"shrank by 30 % or more, {grown} grew by 20 % or more at best; {marked} {'has' if marked == 1 else 'have'} an asterisk."
    )
    colour = f" Colour and hatching: {words}." if words else ""
    without = len(best) - len(change)
    caption = (
        f"Waterfall: best change of the target lesions from the baseline up to and including progression, {n} in order. "
        f"Dashed: −30 % and +20 %. Asterisk: {new}, at any visit.{colour}{f' Without a measured change: {without}.' if without else ''}"
    )
    measured = responses[responses["change_pct"].notna()]
    spider_alt = (
        f"Lines of the change of the target lesions of {counted(measured['subject'].nunique(), 'patient')} over {days(measured['day'].max())}, "
        f"{counted(len(measured), 'visit')}; at the last one the median is {signed(measured.groupby('subject')['change_pct'].last().median())} %."
    )
    spider_caption = (
        f"Spider: change of the target lesions from the baseline over time, a line per patient. Dashed: −30 % and +20 %. Cross: {new}, on "
        f"its first day, at the size known by then.{f' Colour and shape: {words}.' if words else ''}"
    )
    return (
        picture(plot.waterfall(responses, patients=len(best), **look), alt, caption),
        picture(plot.spider(responses, **look), spider_alt, spider_caption),
    )


def courses(responses: pd.DataFrame, data: Dataset, times: dict[str, pd.DataFrame]) -> tuple[Block, ...]:
    """Swimmer plot, on as many pictures as its bars need.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response`.
    data : Dataset
        Whose doses, and last samples where survival is not recorded.
    times : dict of str to pandas.DataFrame
        Of `carkinetics.response.tumour_outcome.tumour_times`.

    Returns
    -------
    tuple of Block
        Pictures, longest bars first.
    """
    end, alive, remarks = _ends(responses, data, times.get("os"))
    several = pages(len(end), BARS)
    return tuple(_course(responses, data, end, alive, remarks, page) for page in range(1, several + 1))


def _ends(
    responses: pd.DataFrame, data: Dataset, survival: pd.DataFrame | None
) -> tuple[pd.DataFrame, str, str]:
    """Ends of the bars, what an arrow there means, and whose end is another: who has no recorded survival ends with the last visit."""
    seen = pd.concat([responses[["subject", "day"]].set_axis(["subject", "time"], axis=1), data.observations[["subject", "time"]]])  # fmt: skip
    last = seen.astype({"subject": str}).groupby("subject")["time"].max().clip(lower=0).to_frame().assign(event=0)  # fmt: skip
    never = len(set(data.subject_ids) - set(last.index) - set(() if survival is None else survival.index))
    remarks = f" Without a visit or sample, and not shown: {never}." if never else ""
    if survival is None:
        return last, "last seen", remarks
    added = last.drop(survival.index, errors="ignore")
    if len(added):
        remarks = f" Without recorded survival, up to the last visit or sample: {len(added)}.{remarks}"
        survival = pd.concat([survival, added])
    return survival, "alive at last contact", remarks


def _course(
    responses: pd.DataFrame, data: Dataset, end: pd.DataFrame, alive: str, remarks: str, page: int
) -> Picture:
    groups, words = _by(data)
    ax = plot.swimmer(
        responses, end, groups, by_label=words[:1].upper() + words[1:], alive_label=alive, page=page, per_page=BARS
    )  # fmt: skip
    several = pages(len(end), BARS)
    sizes = [len(part) for part in np.array_split(np.arange(len(end)), several)]
    start = sum(sizes[: page - 1])
    patients = counted(len(end), "patient")
    which = f"patients {start + 1} to {start + sizes[page - 1]} of {len(end)}" if several > 1 else patients
    shown = end.sort_values("time", kind="stable").iloc[::-1].iloc[start : start + sizes[page - 1]]
    died = int(shown["event"].sum())
    alt = (
        f"Swimmer plot of {which}, longest first: bars from the infusion to day {day(shown['time'].max())} and shorter, down to day "
        f"{day(shown['time'].min())}, with the response at every visit; {died} {'ends' if died == 1 else 'end'} with death, "
        f"{len(shown) - died} with an arrow."
    )
    colour = f" Colour and hatching: {words}." if words else ""
    caption = (
        f"Swimmer plot: {which}, longest follow-up first. A bar per patient from the infusion on; symbols: response at a visit, none where it was not evaluable; diamond: death; "
        f"arrow: {alive}.{remarks}{colour}"
    )
    return picture(ax, alt, caption)


def survival(times: dict[str, pd.DataFrame], level: float) -> tuple[Block, ...]:
    """Kaplan-Meier curves of every endpoint.

    Parameters
    ----------
    times : dict of str to pandas.DataFrame
        Of `carkinetics.response.tumour_outcome.tumour_times`.
    level : float
        Of the bands, and of the intervals of the medians.

    Returns
    -------
    tuple of Block
        A picture each.
    """
    return tuple(_curve(name, table, level) for name, table in times.items())


def _curve(endpoint: str, table: pd.DataFrame, level: float) -> Picture:
    label, title = AXES[endpoint], ENDPOINTS[endpoint]
    ax = plot.survival_curves(table["time"], table["event"], label=label, level=level)
    if endpoint == "dor":
        ax.set_xlabel("Time since the response began (days)")
    found = kaplan_meier(table["time"], table["event"], level=level).attrs
    low, high = day(found["lower"]), day(found["upper"])
    said = (
        f"{counted(found['events'], 'event')} in {counted(found['n'], 'patient')}, median {days(found['median'])} ({level:.0%} CI {low} to {high})"
    )  # fmt: skip
    caption = f"{title}. Kaplan-Meier estimate with its pointwise {level:.0%} band; ticks: censored. {said}."
    return picture(ax, f"{title}, Kaplan-Meier curve: {said}.", caption)
