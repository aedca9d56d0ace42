// Shows the API's own document. Everything is put in as text, never as markup.
"use strict";

const make = (tag, text, className) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
};

const nameOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.properties && schema.properties.items) return "list of " + nameOf(schema.properties.items.items);
  return [].concat(schema.type || []).join(" or ");
};

const fieldsOf = (doc, schema) => {
  const named = schema && schema.$ref && doc.components.schemas[schema.$ref.split("/").pop()];
  const list = make("ul");
  for (const [name, field] of Object.entries((named && named.properties) || {})) {
    const row = make("li");
    row.append(make("code", name), " " + nameOf(field) + " " + (field.description || ""));
    list.append(row);
  }
  return list;
};

const routeOf = (doc, path, method, operation) => {
  const box = make("details");
  box.dataset.text = (path + " " + method + " " + operation.summary).toLowerCase();
  const head = make("summary");
  head.append(make("b", method.toUpperCase(), "method"), make("code", path), make("span", operation.summary));
  box.append(head, make("p", operation.description));
  const asked = (operation.parameters || []).filter((p) => p.in === "query");
  if (asked.length) {
    box.append(make("h3", "Query"));
    const list = make("ul");
    for (const p of asked) {
      const row = make("li");
      row.append(make("code", p.name), " " + (p.description || ""));
      list.append(row);
    }
    box.append(list);
  }
  const body = operation.requestBody && operation.requestBody.content["application/json"].schema;
  if (body) box.append(make("h3", "Body: " + nameOf(body)), fieldsOf(doc, body));
  for (const [status, response] of Object.entries(operation.responses)) {
    const content = Object.values(response.content || {})[0];
    if (status === "default") continue;
    box.append(make("h3", "Answers " + status + (content ? ": " + nameOf(content.schema) : "")));
    if (content) box.append(fieldsOf(doc, content.schema));
  }
  return box;
};

fetch("/api/v1/openapi.json").then((r) => r.json()).then((doc) => {
  const root = document.getElementById("routes");
  root.textContent = "";
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const [method, operation] of Object.entries(item)) root.append(routeOf(doc, path, method, operation));
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const box of root.children) box.hidden = !box.dataset.text.includes(wanted);
  });
}).catch(() => { document.getElementById("routes").textContent = "The document could not be loaded."; });
