from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="SignInState",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("rejections", models.PositiveIntegerField(default=0)),
                ("paused_until", models.FloatField(default=0)),
                ("leased_until", models.FloatField(default=0)),
            ],
            options={
                "default_permissions": (),
            },
        ),
    ]
