import * as z from 'zod';
import { messageOf, RackbootError } from '../errors.js';
import { NodeError } from '../node/errors.js';
import { parseName } from '../node/nodes.js';
import { applyNodeset, describeAssignment, type NodesetChange } from '../node/nodeset.js';
import { prepareNodeset } from '../node/prepare.js';
import { parseTargets } from '../node/target.js';
import { attributesOf, stateText } from '../node/xcat/state.js';
import { splitArguments } from '../pxe/boot/arguments.js';
import type { BootService } from '../pxe/boot/service.js';
import { type Route, sendJson } from '../pxe/http/route.js';
import { readJsonBody } from './json-body.js';
import type { WriteGate } from './write-gate.js';

const JSON_TYPE = 'application/json';
const MAX_BODY = 4 << 20;
const MAX_NODES = 1000;

const orderBody = z.strictObject({
  nodes: z
    .array(
      z.strictObject({
        node: z.string().max(300),
        target: z.string().max(300),
        line: z.string().max(8192).optional(),
      }),
    )
    .max(MAX_NODES),
});

/** What one node is to be set to, and the kernel line that xCAT composed for it. */
type Order = z.output<typeof orderBody>['nodes'][number];

/** What became of one node. */
type Outcome =
  | NodesetChange
  | { readonly node: string; readonly error: { readonly code: string; readonly message: string } };

interface Answer {
  readonly nodes: readonly Outcome[];
  readonly warnings: readonly string[];
}

/** What the xCAT plugin asks: many nodes set at once, each for itself, and what they are set to in xCAT's words. */
export function nodesetRoutes(service: BootService, gate: WriteGate): Route[] {
  const { store } = service;
  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/api/v1/nodeset',
      summary: 'What every node is set to, in the words of nodeset stat',
      produces: JSON_TYPE,
      responses: { 200: '[{"node": "n1", "state": "netboot rocky9.4-x86_64-compute"}, …], by name' },
      async handle(request) {
        const current = new Map((await store.nodes.assignments()).map((row) => [row.node, row]));
        const attributes = await attributesOf(store, current.values());
        const states = (await store.nodes.list()).map(({ name }) => {
          const assignment = current.get(name);
          return { node: name, state: stateText(assignment, attributes.get(assignment?.osimage ?? '')) };
        });
        sendJson(request, states);
      },
    },
    {
      methods: ['POST'],
      path: '/api/v1/nodeset',
      summary: `Sets up to ${MAX_NODES} nodes, each for itself. With the site’s token`,
      body: {
        contentType: JSON_TYPE,
        description:
          '{"nodes": [{"node": "n1", "target": "osimage=NAME", "line": "a kernel line in place of the osimage’s own"}, …]}; line may be left out',
      },
      produces: JSON_TYPE,
      responses: {
        200: '{"nodes": [{"node", "from", "to"} or {"node", "error": {"code", "message"}}, …], "warnings": [line, …]}',
        400: 'Not such a list',
        401: 'No token, or a wrong one',
        403: 'Neither over HTTPS nor from this machine itself',
        413: 'Body too large',
        415: 'Not JSON',
      },
      async handle(request) {
        gate(request);
        const shape = `{"nodes": [{"node": "n1", "target": "osimage=NAME"}, …]} with ${MAX_NODES} nodes at most`;
        const { nodes } = await readJsonBody(request.req, MAX_BODY, orderBody, shape);
        const outcomes = new Map<string, Outcome>();
        const warnings: string[] = [];
        for (const orders of byTarget(nodes)) {
          const answer = await setTogether(service, orders, request.client);
          for (const outcome of answer.nodes) outcomes.set(outcome.node, outcome);
          warnings.push(...answer.warnings);
        }
        sendJson(request, { nodes: [...outcomes.values()], warnings });
      },
    },
  ];
}

/** The orders of equal targets together; of several for one node the last counts. */
function byTarget(orders: readonly Order[]): Order[][] {
  const groups = new Map<string, Order[]>();
  for (const order of new Map(orders.map((each) => [each.node, each])).values()) {
    const group = groups.get(order.target) ?? [];
    group.push(order);
    groups.set(order.target, group);
  }
  return [...groups.values()];
}

/** Carries out orders of one target in one transaction; when that cannot be done, one by one, to tell whose fault it is. */
async function setTogether(service: BootService, orders: readonly Order[], client: string): Promise<Answer> {
  try {
    return await setNodes(service, orders, client);
  } catch (error) {
    if (!(error instanceof RackbootError)) throw error;
    if (orders.length === 1) return { nodes: orders.map(({ node }) => failed(node, error)), warnings: [] };
  }
  const nodes: Outcome[] = [];
  const warnings: string[] = [];
  for (const order of orders) {
    const one = await setTogether(service, [order], client);
    nodes.push(...one.nodes);
    warnings.push(...one.warnings);
  }
  return { nodes, warnings };
}

async function setNodes(service: BootService, orders: readonly Order[], client: string): Promise<Answer> {
  const { store, config } = service;
  const targets = parseTargets(orders[0]?.target ?? '');
  if (targets.kind === 'stat') {
    throw new NodeError('BAD_TARGET', "'stat' sets nothing; GET /api/v1/nodeset instead");
  }
  for (const { node, line } of orders) {
    parseName(node);
    splitArguments(line ?? '');
  }
  const found = await store.nodes.getMany(orders.map(({ node }) => node));
  const lines = new Map(
    orders.flatMap(({ node, line }) => (line === undefined ? [] : [[node, line] as const])),
  );
  const now = service.now();
  const { plan, current, warnings } = await prepareNodeset(
    store,
    found,
    { ...targets, lines },
    config.xcat.genesis,
    now,
    config.dhcp.loaders,
  );
  await applyNodeset(store, plan, now, client);
  const known = new Set(found.map(({ name }) => name));
  const changes = new Map(plan.changes.map((change) => [change.node, change]));
  const refused = new Map(plan.refused.map(({ node, why }) => [node, why]));
  const nodes = orders.map(({ node }): Outcome => {
    if (!known.has(node)) {
      return failed(node, {
        code: 'NO_SUCH_NODE',
        message: 'rackboot has no node of that name; add it with: rackboot node import',
      });
    }
    const why = refused.get(node);
    if (why !== undefined) return failed(node, { code: 'CONFLICT', message: why });
    const same = describeAssignment(current.get(node));
    return changes.get(node) ?? { node, from: same, to: same };
  });
  return { nodes, warnings };
}

function failed(node: string, error: { readonly code: string; readonly message: string }): Outcome {
  return { node, error: { code: error.code, message: messageOf(error.message) } };
}
