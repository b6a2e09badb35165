import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import express, { type Express } from 'express';
import type { BootService } from '../pxe/boot/service.js';
import { bootRoutes } from '../pxe/http/boot-routes.js';
import { dispatchRoutes } from '../pxe/http/dispatch.js';
import { type Route, sendJson, sendText } from '../pxe/http/route.js';
import { packageRoot } from '../site/assets.js';
import { pageRoutes } from '../web/page.js';
import { EventFeed } from './event-feed.js';
import { eventStreamRoute } from './event-stream.js';
import type { Metrics } from './metrics.js';
import { nodeRoutes } from './node-routes.js';
import { nodesetRoutes } from './nodeset-routes.js';
import { openApi } from './openapi.js';
import { osimageRoutes } from './osimage-routes.js';
import { STORE_HEADER, storeTag } from './store-header.js';
import type { WriteGate } from './write-gate.js';

/** Every URL of rackboot: what nodes use, the API, the page, and what watches over it. `gate` stands before every change. */
export function allRoutes(
  service: BootService,
  metrics: Metrics,
  gate: WriteGate,
  moreRoutes: readonly Route[] = [],
): Route[] {
  const feed = new EventFeed(service.store.events, service.log);
  const routes: Route[] = [
    ...bootRoutes(service),
    ...moreRoutes,
    ...nodeRoutes(service, gate),
    ...nodesetRoutes(service, gate),
    ...osimageRoutes(service),
    eventStreamRoute(service, feed),
    healthRoute(service),
    metricsRoute(service, metrics),
    ...pageRoutes(),
  ];
  return [...routes, openApiRoute(routes)];
}

/** The express application that answers `routes` and nothing else. */
export function createApp(routes: readonly Route[], service: BootService, metrics: Metrics): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(
    dispatchRoutes(routes, {
      log: service.log,
      proxies: service.config.http.proxies,
      onEnd: (facts) => metrics.countRequest(facts),
    }),
  );
  return app;
}

function openApiRoute(routes: readonly Route[]): Route {
  const route: Route = {
    methods: ['GET', 'HEAD'],
    path: '/api/openapi.json',
    summary: 'This description',
    produces: 'application/json',
    responses: { 200: 'OpenAPI 3.1' },
    async handle(request) {
      sendJson(request, openApi([...routes, route], version()));
    },
  };
  return route;
}

function healthRoute(service: BootService): Route {
  return {
    methods: ['GET', 'HEAD'],
    path: '/healthz',
    summary: 'Whether the servers can do their work: they answer and the database does',
    produces: 'text/plain; charset=utf-8',
    responses: { 200: 'They can', 503: 'The database does not answer' },
    async handle(request) {
      await service.store.events.lastId();
      request.res.setHeader(STORE_HEADER, await storeTag(service.store));
      sendText(request, 'text/plain; charset=utf-8', 'ok\n');
    },
  };
}

function metricsRoute(service: BootService, metrics: Metrics): Route {
  const began = service.now();
  return {
    methods: ['GET', 'HEAD'],
    path: '/metrics',
    summary: 'Counters in Prometheus’ text format',
    produces: 'text/plain; version=0.0.4; charset=utf-8',
    responses: { 200: 'The counters' },
    async handle(request) {
      const states = new Map<string, number>();
      const { nodes } = service.store;
      const assigned = new Map((await nodes.assignments()).map((row) => [row.node, row.state]));
      for (const node of await nodes.list()) {
        const state = assigned.get(node.name) ?? 'boot';
        states.set(state, (states.get(state) ?? 0) + 1);
      }
      const text = metrics.print(service.transfers.totals, states, (service.now() - began) / 1000);
      sendText(request, 'text/plain; version=0.0.4; charset=utf-8', text);
    },
  };
}

function version(): string {
  const file = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return file.version;
}
