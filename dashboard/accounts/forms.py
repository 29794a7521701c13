from allauth.account.adapter import get_adapter
from allauth.account.forms import ChangePasswordForm
from allauth.core import context

from dashboard.accounts.adapter import address_of
from dashboard.accounts.sign_in_limits import begin_password_change


class LimitedChangePasswordForm(ChangePasswordForm):  # type: ignore[misc]  # allauth has no types
    """A thief of a session must not try out passwords."""

    def clean_oldpassword(self) -> str:
        attempt = begin_password_change(self.user, address_of(context.request))
        if attempt is None:
            raise get_adapter().validation_error("too_many_login_attempts")
        password: str = super().clean_oldpassword()
        attempt.delete()
        return password
