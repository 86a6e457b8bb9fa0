// @tus/server with its file store, set up as its documentation says. Arguments: port, folder, and
// the folder that has node_modules.
import { createRequire } from "node:module";

const [port, directory, installed] = process.argv.slice(2);
const require = createRequire(`${installed}/`);
const { Server } = require("@tus/server");
const { FileStore } = require("@tus/file-store");

new Server({ path: "/files", datastore: new FileStore({ directory }) }).listen({
  host: "127.0.0.1",
  port: Number(port),
});
