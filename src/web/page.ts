import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contentTypeOf } from '../pxe/http/content-type.js';
import type { Route } from '../pxe/http/route.js';
import { packageRoot } from '../site/assets.js';

/** Nothing from elsewhere, nothing inline, no frames. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The page at `/` and its two files. */
export function pageRoutes(): Route[] {
  const file = (path: string, name: string, summary: string): Route => {
    const body = readFileSync(join(packageRoot(), 'src/web/static', name));
    const type = contentTypeOf(name);
    return {
      methods: ['GET', 'HEAD'],
      path,
      summary,
      produces: type,
      responses: { 200: 'The file' },
      async handle({ method, res }) {
        res.writeHead(200, {
          'Content-Type': type,
          'Content-Length': body.length,
          'Cache-Control': 'no-cache',
          'Content-Security-Policy': POLICY,
          'X-Content-Type-Options': 'nosniff',
          'Referrer-Policy': 'no-referrer',
        });
        res.end(method === 'HEAD' ? undefined : body);
      },
    };
  };
  return [
    file('/', 'index.html', 'The nodes with their stage and progress, live'),
    file('/app.js', 'app.js', 'The page’s program'),
    file('/style.css', 'style.css', 'The page’s style'),
  ];
}
