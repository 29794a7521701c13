from django.db import models


class ServerGroup(models.Model):
    """The permissions for server groups. The model has no table, because the groups are in the cloud."""

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
