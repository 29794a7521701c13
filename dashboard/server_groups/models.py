from django.db import models


class ServerGroup(models.Model):
    """No table: server groups live in the cloud. The model only carries the permissions that guard them."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [
            ("view_servergroup", "Can see server groups"),
            ("switch_servergroup", "Can switch server groups on and off"),
            ("edit_servergroup", "Can edit every field of server groups"),
        ]

    def __str__(self) -> str:
        raise NotImplementedError("there are no rows")
