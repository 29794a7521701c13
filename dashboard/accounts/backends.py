from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.models import AnonymousUser
from django.db.models import F

from dashboard.accounts.models import Grant, User


class RoleBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth publishes no types
    """Read a person, the roles and their permissions in one query. All permissions come from roles."""

    def get_user(self, user_id: int) -> User | None:
        names = {
            "role": F("groups__name"),
            "app": F("groups__permissions__content_type__app_label"),
            "codename": F("groups__permissions__codename"),
        }
        rows = list(User.objects.filter(pk=user_id).annotate(**names))
        if not rows or not self.user_can_authenticate(rows[0]):
            return None
        grants = [Grant(**{name: vars(row)[name] for name in names}) for row in rows]
        rows[0].grants = [grant for grant in grants if grant.role]
        return rows[0]

    def get_all_permissions(self, user_obj: User | AnonymousUser, obj: object = None) -> set[str]:
        if not isinstance(user_obj, User) or not user_obj.is_active or obj is not None:
            return set()
        return {grant.permission for grant in user_obj.grants}
