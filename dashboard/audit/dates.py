"""Times as people write them in an address or on a command line."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime, time, timedelta

from django.utils.dateparse import parse_date, parse_datetime


def read_moment(text: str, *, end_of_day: bool = False) -> datetime | None:
    """A date or a time as it was typed, UTC where it names no zone; an end date includes its day.

    None for what is no time.
    """
    try:
        if day := parse_date(text):
            return datetime.combine(day, time.min, UTC) + timedelta(days=int(end_of_day))
        moment = parse_datetime(text)
        return moment and (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # OverflowError: the day after the last one of the calendar
        return None


def moment_argument(text: str, *, end_of_day: bool = False) -> datetime:
    """The same for a command line, which says so when it is none."""
    moment = read_moment(text, end_of_day=end_of_day)
    if moment is None:
        raise ArgumentTypeError(f"{text} is neither a date nor a time")
    return moment
