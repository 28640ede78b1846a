// The kitchen sink in JavaScript: every value goes to the host and back, or straight back.

import host from "demo:kitchen-sink/values@1.0.0";

// A function's own result is returned as its payload, or thrown.
function echo(value) {
  if (value?.tag === "err") throw value.val;
  return value?.tag === "ok" ? value.val : value;
}

const relay = (ask) => (...parameters) => ask(...parameters);

function forEach(make) {
  return Object.fromEntries(Object.entries(host).map(([name, ask]) => [name, make(ask)]));
}

export const values = forEach(relay);
const echoes = forEach((ask) => (...parameters) => (parameters.length === 1 ? echo(...parameters) : parameters));
export { echoes as echo };
