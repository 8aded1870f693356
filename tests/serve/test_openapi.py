"""The OpenAPI document describes the service: requests made from it find no difference."""

from importlib.metadata import version

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from anteojos.serve.app import openapi
from anteojos.serve.guard import PATHS
from tests.serve.conftest import Server

pytestmark = pytest.mark.slow

schema = schemathesis.openapi.from_dict(openapi())


@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_service_does_what_its_document_says(case: schemathesis.Case, service: Server) -> None:
    # That check expects 200 for each body of the right type, but most bytes are not an image.
    case.call_and_validate(base_url=service.url.rstrip("/"), excluded_checks=[positive_data_acceptance])


def test_all_addresses_for_programs_are_described(service: Server) -> None:
    with service.client() as client:
        found = client.get("/openapi.json").json()
    assert set(found["paths"]) == set(PATHS) - {"/", "/openapi.json"}
    assert found["info"]["version"] == version("anteojos")
