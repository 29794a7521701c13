from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_verification")]

    operations = [
        migrations.RenameModel("Unsettled", "OpenChange"),
        migrations.RenameField("OpenChange", "at", "begun_at"),
        migrations.AddField("OpenChange", "next_read_at", models.DateTimeField(null=True)),
    ]
