import { httpLimitsOf, listenHttp } from '../../../src/pxe/http/server.js';

/**
 * An HTTP server on port 8080 of the address in its first argument: so many bytes as the path
 * says. It remembers clients that are gone for as many seconds as its second argument says.
 */
process.stdin.resume().on('end', () => process.exit());
await listenHttp(
  (req, res) => res.end(Buffer.alloc(Number(req.url?.slice(1)))),
  process.argv[2] ?? '',
  8080,
  httpLimitsOf({ limits: { keepAlive: 1, gone: Number(process.argv[3]) } }),
);
process.stdout.write(`${JSON.stringify({ up: true })}\n`);
