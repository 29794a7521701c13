"""Read dates and times from addresses and command lines."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime, time, timedelta

from django.utils.dateparse import parse_date, parse_datetime


def read_moment(text: str, *, end_of_day: bool = False) -> datetime | None:
    """Read a date or a time, in UTC if it has no time zone. Returns None for any other text.

    With `end_of_day`, a date means the end of that day.
    """
    try:
        if day := parse_date(text):
            return datetime.combine(day, time.min, UTC) + timedelta(days=int(end_of_day))
        moment = parse_datetime(text)
        return moment and (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # OverflowError: after the last day of the calendar
        return None


def moment_argument(text: str, *, end_of_day: bool = False) -> datetime:
    """Read a date or a time from a command line. Raises ArgumentTypeError."""
    moment = read_moment(text, end_of_day=end_of_day)
    if moment is None:
        raise ArgumentTypeError(f"{text} is neither a date nor a time")
    return moment
