from django.urls import include, path, register_converter

from dashboard.cloud.projects import Project, UnknownProjectError, get_project
from dashboard.readiness import readyz
from dashboard.web import pages
from dashboard.web.csp_reports import csp_report


class ProjectConverter:
    """Converts between the slug in an address and the project. The project of an unknown slug is None."""

    regex = "[a-z0-9][a-z0-9-]{0,62}"

    def to_python(self, slug: str) -> Project | None:
        try:
            return get_project(slug)
        except UnknownProjectError:
            return None

    def to_url(self, project: Project | str) -> str:
        """The slug. The ledger stores only the slug of a project."""
        return project if isinstance(project, str) else project.slug


register_converter(ProjectConverter, "project")
handler500 = pages.server_error

urlpatterns = [
    path("", pages.home, name="home"),
    path("healthz", pages.healthz, name="healthz"),
    path("livez", pages.healthz, name="livez"),
    path("readyz", readyz, name="readyz"),
    path("csp-reports/", csp_report, name="csp-report"),
    path("theme/", pages.choose_theme, name="theme"),
    path("accounts/", include("dashboard.accounts.urls")),
    path("projects/<project:project>/server-groups/", include("dashboard.server_groups.urls")),
    path("projects/<project:project>/audit/", include("dashboard.activity.urls")),
]
