"""Keep the log short: what a visitor can cause has no traceback."""

import logging


class ShortRefusals(logging.Filter):
    """Remove the traceback from the record of a response below 500, for example of a 403."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
        return True
