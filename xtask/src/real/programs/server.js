// A web server: 127.0.0.1, port from the command line. It reads a file for each request, so libuv's threads work too.
const http = require("http");
const fs = require("fs");

http.createServer((request, response) => {
  fs.readFile("/proc/self/comm", () => response.end("hello"));
}).listen(Number(process.argv[2]), "127.0.0.1");
