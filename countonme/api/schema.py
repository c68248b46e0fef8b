"""How drf-spectacular describes our calls. What calls share is described here once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema_serializer,
)
from rest_framework import serializers

from countonme.api.errors import UnsupportedContentEncoding
from countonme.api.fields import EmptyIsNullMixin, StrictUUIDField
from countonme.scope.exceptions import Missing

S = TypeVar("S", bound=type[serializers.BaseSerializer[Any]])

BOUNDS = ("maximum", "minimum", "maxLength", "minLength", "pattern")
INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def header(description: str, schema: dict[str, Any] = STRING, *, required: bool = True) -> Any:
    """Return the OpenAPI object that describes a header of an answer."""
    return {"description": description, "schema": schema, "required": required}


RETRY_AFTER = {"Retry-After": header("Seconds to wait.", INTEGER)}
ERROR_HEADERS = {
    401: {"WWW-Authenticate": header("`Bearer`.")},
    429: RETRY_AFTER,
    503: RETRY_AFTER,
}
CONDITIONAL_HEADERS = {
    "ETag": header("Weak; send it as `If-None-Match` to be answered 304 while nothing changed."),
    "Cache-Control": header("`private, no-cache`."),
    "Vary": header("Names `Authorization`."),
}
PATH_PARAMETERS: dict[str, Any] = {
    "id": {"type": "string", "format": "uuid", **StrictUUIDField().schema_keywords},
    "date": OpenApiTypes.DATE,
}
# What the calls of every `DeviceViewSet` do, and what is to know about them.
SUMMARIES = {
    "list": "List {plural}",
    "create": "Create {a} {singular}",
    "retrieve": "Get {a} {singular}",
    "update": "Update {a} {singular} by PUT",
    "partial_update": "Update {a} {singular}",
    "destroy": "Delete {a} {singular}",
}
DESCRIPTIONS = {
    "list": "A page of it; the header `Link` leads to the others.",
    "create": "The `id` may be the phone's own. The same request again answers 200 and changes "
    "nothing, so a call whose answer was lost can be repeated.",
    "retrieve": "One that was deleted is 404, as if it had never been.",
    "update": "What the body leaves out stays as it is: PUT does what PATCH does.",
    "partial_update": "What the body leaves out stays as it is.",
    "destroy": "Every client learns of it by its next sync. A second call is 404.",
}
ARTICLES = {"a", "an", "the"}
# What a required parameter of the query may be, and by model the id in paths: that of the first
# example of its serializer. So the examples of all calls fit each other.
QUERY_EXAMPLES: dict[str, Any] = {
    "date": "2025-02-05",
    "from": "2025-02-01",
    "to": "2025-02-28",
    "search": "chicken",
    "last_pulled_at": 1,
}
EXAMPLE_IDS: dict[Any, str] = {}
LINK_HEADER = {
    "Link": header(
        'The neighbouring pages, where there are any: `rel="next"`, `rel="prev"`.', required=False
    )
}


def reads_empty_as_null(field: serializers.Field[Any, Any, Any, Any]) -> bool:
    """Return whether a field reads an empty string as null."""
    return isinstance(field, EmptyIsNullMixin) and field.allow_null


class ErrorSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField(help_text="One sentence.")


class FieldErrorSerializer(serializers.Serializer[Any]):
    loc = serializers.ListField(
        child=serializers.CharField(),
        help_text="`body` or `query`, then the field; alone for a rule over several fields.",
    )
    msg = serializers.CharField()
    type = serializers.CharField(help_text="As `required`, `null`, `max_length`, `invalid`.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A field is missing",
            value={
                "detail": "Validation error",
                "errors": [
                    {
                        "loc": ["body", "name"],
                        "msg": "This field is required.",
                        "type": "required",
                    }
                ],
            },
            status_codes=["422"],
        )
    ]
)
class ValidationErrorSerializer(ErrorSerializer):
    errors = FieldErrorSerializer(many=True)  # type: ignore[assignment]  # a field, in DRF too


class ApiSchema(AutoSchema):
    """Describe a call, and add its errors and headers.

    Views declare what only they know in the class attributes that `ApiView` lists. Their `answers`
    are the sentences of 404 and 409, by action (of a viewset) or method.
    """

    view: Any  # an ApiView; spectacular sets it

    @property
    def action(self) -> str:
        """The viewset's action, or the method of a plain view."""
        return getattr(self.view, "action", None) or self.method.lower()

    def get_summary(self) -> str:
        """Return what the call does, in a few words."""
        if self.action in self.view.summaries:
            summary: str = self.view.summaries[self.action]
            return summary
        meta = self.view.model._meta
        singular, plural = str(meta.verbose_name), str(meta.verbose_name_plural)
        article = "an" if singular[0] in "aeiou" else "a"
        return SUMMARIES[self.action].format(a=article, singular=singular, plural=plural)

    def get_operation_id(self) -> str:
        """Return the summary in camel case, without articles: generated clients name calls so."""
        words = re.findall(r"\w+", self.get_summary().replace("'", "").lower())
        first, *others = (word for word in words if word not in ARTICLES)
        return first + "".join(map(str.capitalize, others))

    def get_description(self, *args: Any) -> str:
        """Return what is to know: of the view, of calls of this kind, and of this call."""
        of_view = super().get_description(*args)
        of_kind = DESCRIPTIONS.get(self.action, "") if hasattr(self.view, "model") else ""
        own = self.view.descriptions.get(self.action, "")
        return "\n\n".join(filter(None, (of_view, of_kind, own)))

    def get_tags(self) -> list[str]:
        return [self.view.tag] if self.view.tag else super().get_tags()

    def get_override_parameters(self) -> list[Any]:
        """Describe the parameters in the query and in the path."""
        query = getattr(self.view, f"{self.action}_query_class", None)
        path = [
            OpenApiParameter(name, schema, OpenApiParameter.PATH)
            for name, schema in PATH_PARAMETERS.items()
            if f"{{{name}}}" in self.path
        ]
        return [*path, query] if query else path

    def _add_examples(self, parameters: list[dict[str, Any]]) -> None:
        """Give what a call needs in path and query an example: those of all calls fit together."""
        view = self.view
        in_path = {"id": view.path_example or EXAMPLE_IDS.get(self._path_model())}
        for parameter in parameters:
            name = parameter["name"]
            if parameter.get("required") or name in view.query_examples:
                value = in_path.get(name) or QUERY_EXAMPLES.get(name)
                if value is not None:
                    parameter["example"] = value

    def _path_model(self) -> Any:
        return self.view.path_model or getattr(self.view, "model", None)

    def get_request_serializer(self) -> Any:
        """Describe PUT like PATCH: both may leave fields out, unless it sends the whole."""
        serializer = force_instance(self._serializer())
        if self.method == "PUT" and not self.view.put_is_whole:
            serializer.partial = True
        if more := getattr(self.view, "request_types", None):
            return {"application/json": serializer, **more}
        return serializer

    def _get_request_body(self, direction: str = "request") -> Any:
        """Describe the body of every method that has one: theirs leaves DELETE's out."""
        if self.method not in self.view.methods_with_body:
            return None
        method = self.method
        self.method = "POST" if method == "DELETE" else method
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]  # theirs
        finally:
            self.method = method

    def _serializer(self) -> Any:
        return super()._get_serializer()  # type: ignore[no-untyped-call]  # theirs

    def get_response_serializers(self) -> Any:
        """Describe the successful answers."""
        if self.method == "DELETE":
            return {204: OpenApiResponse(None, description="Deleted.")}
        own = getattr(self.view, f"{self.action}_response_class", None)
        if isinstance(own, dict):
            return own
        serializer = own or self.view.response_class or self._serializer()
        if self.action == "create":
            found = "The same request was answered before; nothing has changed."
            return {
                201: OpenApiResponse(serializer, description="Created."),
                200: OpenApiResponse(serializer, description=found),
            }
        return {self.view.success_status: serializer}

    def get_operation(self, *args: Any) -> dict[str, Any] | None:
        """Describe the call, and add the headers and errors that calls share."""
        operation: dict[str, Any] | None = super().get_operation(*args)
        if operation is None:
            return None
        if "requestBody" in operation:
            operation["requestBody"]["required"] = not self.view.body_is_optional
        self._add_examples(operation.get("parameters", []))
        responses = operation["responses"]
        if getattr(self.view, "is_conditional", False) and self.method == "GET":
            headers = CONDITIONAL_HEADERS | (LINK_HEADER if self._is_list_view() else {})
            responses["200"]["headers"] = headers
            responses["304"] = {
                "description": "Nothing has changed since `If-None-Match`.",
                "headers": CONDITIONAL_HEADERS,
            }
            operation.setdefault("parameters", []).append(
                {
                    "in": "header",
                    "name": "If-None-Match",
                    "schema": STRING,
                    "description": "The `ETag` of an earlier answer.",
                }
            )
        for status, sentences in self._errors(operation).items():
            responses[str(status)] = self._error(status, sentences)
        operation["responses"] = dict(sorted(responses.items()))
        return operation

    def _map_serializer_field(self, field: Any, direction: Any, *args: Any) -> Any:
        """Add the empty string to a request's choices where the field reads it as null."""
        schema = super()._map_serializer_field(field, direction, *args)  # type: ignore[no-untyped-call]  # theirs
        if direction == "request" and reads_empty_as_null(field) and "enum" in schema:
            schema["enum"].append("")
        return schema

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        """Add the field's own `schema_keywords`."""
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]  # theirs
        # Theirs lists the empty string as an alternative: clients would get a type of two strings.
        if reads_empty_as_null(field) and "oneOf" in schema:
            schema.update(schema.pop("oneOf")[0])
        schema.update(getattr(field, "schema_keywords", {}))
        if reads_empty_as_null(field):
            schema.pop("minLength", None)
            if "pattern" in schema:
                schema["pattern"] = f"^$|{schema['pattern']}"

    def _map_basic_serializer(self, serializer: Any, direction: str) -> Any:
        """Correct the schema of answers whose serializer also describes requests.

        An answer has every field, except those that the serializer lists in `may_be_absent`. Its
        id is never null. Bounds are left out, because they are rules for requests.
        """
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]  # theirs
        if direction == "response" and "properties" in schema:
            fields = schema["properties"]
            schema["required"] = [
                name for name in fields if name not in getattr(serializer, "may_be_absent", ())
            ]
            for field in fields.values():
                for bound in BOUNDS:
                    field.pop(bound, None)
            if "id" in fields:
                fields["id"]["type"] = "string"
        return schema

    def _errors(self, operation: dict[str, Any]) -> dict[int, list[str]]:
        """Return the sentences of every error of the call, by status."""
        errors: dict[int, list[str]] = {}
        if "security" in operation:
            errors[401] = ["Invalid or expired token"]
        if "{" in self.path:
            model = self._path_model()
            errors[404] = [str(Missing(model)) if model else "Not found"]
        if "requestBody" in operation:
            errors |= {
                400: [
                    "The body is not in UTF-8",
                    "The body is not valid JSON",
                    "The body is not a JSON object",
                ],
                411: ["A body needs a Content-Length"],
                413: ["The body is too large"],
                415: [
                    "The body must be application/json",
                    UnsupportedContentEncoding.default_detail,
                ],
            }
        in_query = any(parameter["in"] == "query" for parameter in operation.get("parameters", []))
        if "requestBody" in operation or in_query:
            errors[422] = []
        for status, sentences in self.view.answers.get(self.action, {}).items():
            errors[status] = [*errors.get(status, []), *sentences]
        return errors | {
            429: ["Too many requests"],
            500: ["Internal server error"],
            503: ["Service temporarily unavailable"],
        }

    def _error(self, status: int, sentences: list[str]) -> dict[str, Any]:
        serializer = ValidationErrorSerializer if status == 422 else ErrorSerializer
        examples = [
            OpenApiExample(sentence, value={"detail": sentence}, status_codes=[str(status)])
            for sentence in sentences
        ]
        description = "; ".join(sentences) or "A field or a query parameter is invalid"
        answer: dict[str, Any] = self._get_response_for_code(  # type: ignore[no-untyped-call]  # theirs
            OpenApiResponse(serializer, description=f"{description}.", examples=examples),
            str(status),
            media_types=["application/json"],
        )
        return answer | ({"headers": ERROR_HEADERS[status]} if status in ERROR_HEADERS else {})


def example(name: str, value: dict[str, Any], **kwargs: Any) -> Callable[[S], S]:
    """Return a decorator that adds an example to a serializer, before its other examples."""

    def add(serializer: S) -> S:
        own = vars(serializer).get("_spectacular_annotation", {}).get("examples", [])
        first = OpenApiExample(name, value=value, **kwargs)
        model = getattr(getattr(serializer, "Meta", None), "model", None)
        if model is not None and "id" in value:
            EXAMPLE_IDS[model] = value["id"]
        return extend_schema_serializer(examples=[first, *own])(serializer)

    return add
