// A small template language: the JavaScript side of wit/world.wit.

import filters from "demo:template/filters@1.0.0";

const BUILT_IN = {
  upper: (text) => text.toUpperCase(),
  lower: (text) => text.toLowerCase(),
  trim: (text) => text.trim(),
};

class Problem extends Error {
  constructor(position, message) {
    super(message);
    this.position = position;
  }
}

// Parts are strings, holes {name, filters, position} and blocks {name, parts, position}.
function parse(template) {
  const pattern = /\{\{\s*([#/]?)([^{}|]+?)\s*((?:\|[^{}|]+)*)\}\}/g;
  const open = [{ parts: [] }];
  let end = 0;
  for (const match of template.matchAll(pattern)) {
    const [whole, sign, name, tail] = match;
    const top = open[open.length - 1];
    if (match.index > end) top.parts.push(template.slice(end, match.index));
    end = match.index + whole.length;
    const position = match.index;
    if (sign === "#") {
      const block = { name, parts: [], position };
      top.parts.push(block);
      open.push(block);
    } else if (sign === "/") {
      if (top.name !== name) throw new Problem(position, `unexpected end of ${name}`);
      open.pop();
    } else {
      const names = tail.split("|").slice(1).map((filter) => filter.trim());
      top.parts.push({ name, filters: names, position });
    }
  }
  if (open.length > 1) {
    const last = open[open.length - 1];
    throw new Problem(last.position, `${last.name} has no end`);
  }
  if (end < template.length) open[0].parts.push(template.slice(end));
  return open[0].parts;
}

function filtered(text, hole) {
  for (const name of hole.filters) {
    if (name in BUILT_IN) {
      text = BUILT_IN[name](text);
    } else if (filters.names().includes(name)) {
      try {
        text = filters.apply(name, text);
      } catch (error) {
        throw new Problem(hole.position, `${name}: ${error.payload ?? error}`);
      }
    } else {
      throw new Problem(hole.position, `no filter ${name}`);
    }
  }
  return text;
}

function asText(value) {
  if (value.tag === "texts") return value.val.join(", ");
  return value.tag === "nothing" ? "" : String(value.val);
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function fill(parts, values, options) {
  let output = "";
  for (const part of parts) {
    if (typeof part === "string") {
      output += part;
      continue;
    }
    const value = values.get(part.name);
    if (part.parts) {
      const items = value?.tag === "texts" ? value.val : [];
      for (const item of items) {
        const inner = new Map(values).set(".", { tag: "text", val: item });
        output += fill(part.parts, inner, options);
      }
    } else if (value) {
      const text = filtered(asText(value), part);
      output += options.escapeHtml ? text.replace(/[&<>"]/g, (sign) => ENTITIES[sign]) : text;
    } else if (options.keepUnknown) {
      output += `{{${part.name}}}`;
    } else {
      throw new Problem(part.position, `no value for ${part.name}`);
    }
  }
  return output;
}

// The error arm of a result is what is thrown.
function orProblem(action) {
  try {
    return action();
  } catch (error) {
    if (error instanceof Problem) throw { position: error.position, message: error.message };
    throw error;
  }
}

function names(parts) {
  return parts.flatMap((part) =>
    typeof part === "string" ? [] : part.parts ? [part.name, ...names(part.parts)] : [part.name],
  );
}

class Compiled {
  constructor(template) {
    this.count = 0;
    // A constructor has no result in WIT: a template that does not parse says so when rendered.
    try {
      this.parts = parse(template);
    } catch (error) {
      this.parts = [];
      this.error = error;
    }
  }

  holes() {
    return [...new Set(names(this.parts))].filter((name) => name !== ".");
  }

  render(values, options) {
    return orProblem(() => {
      if (this.error) throw this.error;
      const text = fill(this.parts, new Map(values), options);
      this.count += 1;
      return text;
    });
  }

  rendered() {
    return this.count;
  }
}

export const engine = {
  Compiled,
  render(template, values, options) {
    return orProblem(() => fill(parse(template), new Map(values), options));
  },
};
