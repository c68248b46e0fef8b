SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.document,
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  // Otherwise Swagger UI asks its makers' validator over the network, for a badge.
  validatorUrl: null,
});
