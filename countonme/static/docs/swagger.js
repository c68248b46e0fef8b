SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.document,
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  // Swagger UI would show a badge of its makers' validator, asked over the network.
  validatorUrl: null,
});
