import test from 'ava';
import { matchRoute, type Method, type Route } from '../../../src/pxe/http/route.js';

const route = (path: string, ...methods: Method[]): Route => ({
  path,
  methods,
  summary: path,
  produces: 'text/plain',
  responses: {},
  handle: async () => undefined,
});
const routes = [
  route('/', 'GET'),
  route('/nodes/{node}/report', 'GET', 'POST'),
  route('/nodes/{node}/x', 'GET'),
  route('/nodes/{node}/x', 'PUT'),
  route('/images/{image}/files/{path...}', 'GET'),
  route('/nodes/{node}.iso', 'GET'),
];

const rows: readonly (readonly [string, readonly string[], object])[] = [
  ['GET', [], { kind: 'found', params: {} }],
  ['GET', ['nodes', 'n1', 'report'], { kind: 'found', params: { node: 'n1' } }],
  ['GET', ['images', 'd@1', 'files', 'a', 'b+c'], { kind: 'found', params: { image: 'd@1', path: 'a/b+c' } }],
  ['GET', ['images', 'd@1', 'files'], { kind: 'none' }],
  ['GET', ['nodes', 'n1', 'report', 'more'], { kind: 'none' }],
  ['GET', ['nodes', 'n1'], { kind: 'none' }],
  ['GET', ['nodes', 'n1.iso'], { kind: 'found', params: { node: 'n1' } }],
  ['GET', ['nodes', 'n1.iso.iso'], { kind: 'found', params: { node: 'n1.iso' } }],
  ['GET', ['nodes', '.iso'], { kind: 'none' }],
  ['DELETE', ['nodes', 'n1', 'report'], { kind: 'wrong-method', allowed: ['GET', 'POST'] }],
  ['POST', ['nodes', 'n1', 'x'], { kind: 'wrong-method', allowed: ['GET', 'PUT'] }],
];
for (const [method, segments, expected] of rows) {
  test(`${method} /${segments.join('/')}`, (t) => {
    t.like(matchRoute(routes, method, segments), expected);
  });
}
