"""The official IAM and IMS SDKs with the simulator, and the Workspace App SDK with tokens and keys from IAM."""

from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkiam import v3 as iam
from huaweicloudsdkims import v2 as ims
from huaweicloudsdkworkspaceapp import v1 as api

PROJECT = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
OTHER_PROJECT = "5d2e8f1a3b7c49d6a0e4c8b2f6d1a3e7"
DESIGN_POOL = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
KEYS = ("SIMULATORACCESSKEY01", "simulator-secret-key-01")

# Without dateutil, the SDK warns and returns times as texts.
pytestmark = pytest.mark.filterwarnings("ignore:Unable to convert string to datetime:ImportWarning")


def token_credentials(token: str) -> Any:
    """Return credentials that send a token. The SDK supports only signatures."""
    credentials = BasicCredentials(*KEYS, PROJECT)
    sign = credentials.sign_request

    def send_token(request: SdkRequest) -> SdkRequest:
        signed = sign(request)
        del signed.header_params["Authorization"]
        signed.header_params["X-Auth-Token"] = token
        return signed

    credentials.sign_request = send_token
    return credentials


def build(client: Any, url: str, credentials: Any) -> Any:
    config = HttpConfig(retry_times=0, timeout=(5, 10))
    return client.new_builder().with_credentials(credentials).with_http_config(config).with_endpoint(url).build()


def sign_in(url: str, password: str = "simulator", project: str = PROJECT) -> Any:
    user = iam.PwdPasswordUser(domain=iam.PwdPasswordUserDomain(name="example-corp"), name="ops-bot", password=password)
    identity = iam.PwdIdentity(methods=["password"], password=iam.PwdPassword(user=user))
    auth = iam.PwdAuth(identity=identity, scope=iam.AuthScope(project=iam.AuthScopeProject(id=project)))
    body = iam.KeystoneCreateUserTokenByPasswordRequestBody(auth=auth)
    client = build(iam.IamClient, url, GlobalCredentials(*KEYS, "domain"))
    request = iam.KeystoneCreateUserTokenByPasswordRequest(nocatalog="true", body=body)
    return client.keystone_create_user_token_by_password(request)


def show(url: str, credentials: Any) -> Any:
    client = build(api.WorkspaceAppClient, url, credentials)
    return client.show_server_group(api.ShowServerGroupRequest(server_group_id=DESIGN_POOL))


class TestIam:
    def test_a_sign_in_with_a_password_returns_a_token(self, url: str) -> None:
        response = sign_in(url)

        assert (response.status_code, response.token.user.name, response.token.project.id) == (201, "ops-bot", PROJECT)
        assert response.token.catalog == []
        assert show(url, token_credentials(response.x_subject_token)).name == "design-pool"

    def test_a_wrong_password_is_refused(self, url: str) -> None:
        with pytest.raises(ClientRequestException) as refusal:
            sign_in(url, password="guess")

        assert refusal.value.status_code == 401
        assert refusal.value.error_msg == "The username or password is wrong."

    def test_a_token_updates_a_group(self, url: str) -> None:
        credentials = token_credentials(sign_in(url).x_subject_token)
        client = build(api.WorkspaceAppClient, url, credentials)
        body = api.UpdateServerGroupReq(server_group_status=False)

        client.update_server_group(api.UpdateServerGroupRequest(server_group_id=DESIGN_POOL, body=body))

        assert show(url, credentials).server_group_status is False

    @pytest.mark.parametrize(("token", "status"), [("guess", 401), (None, 403)])
    def test_an_invalid_token_is_refused(self, url: str, token: str | None, status: int) -> None:
        wrong_project = token or sign_in(url, project=OTHER_PROJECT).x_subject_token

        with pytest.raises(ClientRequestException) as refusal:
            show(url, token_credentials(wrong_project))

        assert refusal.value.status_code == status

    def test_a_temporary_key_signs_with_its_security_token(self, url: str) -> None:
        token = iam.IdentityToken(id="simulator-token", duration_seconds=900)
        auth = iam.TokenAuth(identity=iam.TokenAuthIdentity(methods=["token"], token=token))
        body = iam.CreateTemporaryAccessKeyByTokenRequestBody(auth=auth)
        client = build(iam.IamClient, url, GlobalCredentials(*KEYS, "domain"))
        request = iam.CreateTemporaryAccessKeyByTokenRequest(body=body)

        key = client.create_temporary_access_key_by_token(request).credential

        credentials = BasicCredentials(key.access, key.secret, PROJECT).with_security_token(key.securitytoken)
        assert show(url, credentials).name == "design-pool"

    def test_projects_are_listed(self, url: str) -> None:
        client = build(iam.IamClient, url, GlobalCredentials(*KEYS, "domain"))

        projects = client.keystone_list_projects(iam.KeystoneListProjectsRequest(name="af-south-1")).projects

        assert [project.id for project in projects] == [OTHER_PROJECT]

    def test_the_sdk_finds_its_project_by_the_region(self, url: str) -> None:
        credentials = BasicCredentials(*KEYS).with_iam_endpoint(url)
        builder = api.WorkspaceAppClient.new_builder().with_credentials(credentials)

        client = builder.with_region(Region("ap-southeast-3", url)).build()

        assert client.list_server_groups(api.ListServerGroupsRequest()).count == 42


class TestKeys:
    @pytest.mark.parametrize(
        ("access", "secret", "detail"),
        [("SIMULATORACCESSKEY01", "guess", "verify aksk signature fail"), ("NOBODY", "guess", "ak NOBODY not exist")],
    )
    def test_unknown_keys_and_wrong_secrets_are_refused(self, url: str, access: str, secret: str, detail: str) -> None:
        with pytest.raises(ClientRequestException) as refusal:
            show(url, BasicCredentials(access, secret, PROJECT))

        assert (refusal.value.status_code, refusal.value.error_code) == (401, "APIGW.0301")
        assert detail in refusal.value.error_msg


class TestIms:
    @pytest.fixture
    def client(self, url: str) -> Any:
        return build(ims.ImsClient, url, BasicCredentials(*KEYS, PROJECT))

    def test_the_marketplace_has_product_codes(self, client: Any) -> None:
        images = client.list_images(ims.ListImagesRequest(imagetype="market", os_type="Windows", limit=100)).images

        assert {image.name: image.productcode for image in images}["ws2019-cad-2026-02"] == "00301-884211-0--0"
        assert [image.name for image in images if image.is_offshelved == "true"] == ["ws2016-office-2024-11"]

    def test_pages_follow_a_marker(self, client: Any) -> None:
        found: list[str] = []
        marker = None
        while True:
            page = client.list_images(ims.ListImagesRequest(limit=6, marker=marker)).images
            if not page:
                break
            found += [image.id for image in page]
            marker = page[-1].id

        assert (len(found), len(set(found))) == (17, 17)

    def test_private_images_belong_to_the_project(self, client: Any) -> None:
        images = client.list_images(ims.ListImagesRequest(owner=PROJECT, status="active")).images

        assert {image.imagetype for image in images} == {"private"}

    def test_lists_images_with_a_token(self, url: str) -> None:
        client = build(ims.ImsClient, url, token_credentials("simulator-token"))

        assert len(client.list_images(ims.ListImagesRequest(visibility="shared")).images) == 3

    def test_refuses_with_an_error_that_the_sdk_parses(self, client: Any) -> None:
        with pytest.raises(ClientRequestException) as refusal:
            client.list_images(ims.ListImagesRequest(imagetype="public"))

        assert (refusal.value.status_code, refusal.value.error_code) == (400, "IMG.0029")
