from django.db import models


class SignInState(models.Model):
    """The refused sign-ins with one password of an IAM user. All processes share it. Times are seconds since 1970."""

    key = models.CharField(max_length=64, primary_key=True)
    rejections = models.PositiveIntegerField(default=0)
    """In a row. A success deletes them."""
    paused_until = models.FloatField(default=0)
    leased_until = models.FloatField(default=0)
    """Until then, only one process signs in."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.rejections} rejections"
