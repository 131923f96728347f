// NocoDB as a server of its own on loopback: `node nocodb.cjs` with PORT and NC_TOOL_DIR set.
const { createRequire } = require("node:module");
const here = createRequire(`${process.cwd()}/`);
const express = here("express");
const { Noco } = here("nocodb");

(async () => {
  const app = express();
  const server = app.listen(Number(process.env.PORT), "127.0.0.1");
  app.use(await Noco.init({}, server, app));
  console.log("Server started");
})();
