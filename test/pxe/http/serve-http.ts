import { listenHttp } from '../../../src/pxe/http/server.js';

/** An HTTP server on port 8080 of the address in its first argument: so many bytes as the path says. */
process.stdin.resume().on('end', () => process.exit());
await listenHttp(
  (req, res) => res.end(Buffer.alloc(Number(req.url?.slice(1)))),
  process.argv[2] ?? '',
  8080,
  { keepAliveTimeout: 1000 },
);
process.stdout.write(`${JSON.stringify({ up: true })}\n`);
