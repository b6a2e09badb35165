import * as z from 'zod';
import { parseName } from '../node/nodes.js';
import { applyNodeset, describeAssignment } from '../node/nodeset.js';
import { prepareNodeset } from '../node/prepare.js';
import { readStatuses } from '../node/status.js';
import { parseTargets } from '../node/target.js';
import type { BootService } from '../pxe/boot/service.js';
import { nodeOf } from '../pxe/http/boot-script-routes.js';
import { HttpError } from '../pxe/http/errors.js';
import { type Route, type RouteRequest, sendJson } from '../pxe/http/route.js';
import type { AssignmentRecord, NodeRecord } from '../store/records.js';
import { readJsonBody } from './json-body.js';
import type { WriteGate } from './write-gate.js';

const JSON_TYPE = 'application/json';
const MAX_BODY = 16 * 1024;

const ASSIGNMENT_SHAPE = '{"target": "osimage=NAME"}, {"target": "boot"} or {"target": "offline"}';

const assignmentBody = z.strictObject({ target: z.string().max(200) });

/** The node database: read by everybody (attributes, which may hold secrets, from this machine only), written by whom `gate` lets pass. */
export function nodeRoutes(service: BootService, gate: WriteGate): Route[] {
  const { store } = service;
  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/api/v1/nodes',
      summary: 'Every node with its assignment. `attributes` only when asked from this machine itself',
      produces: JSON_TYPE,
      responses: { 200: 'Nodes, by name' },
      async handle(request) {
        const assignments = new Map((await store.nodes.assignments()).map((row) => [row.node, row]));
        const nodes = await store.nodes.list();
        sendJson(
          request,
          nodes.map((node) => shownNode(node, assignments.get(node.name), request)),
        );
      },
    },
    {
      methods: ['GET', 'HEAD'],
      path: '/api/v1/nodes/{node}',
      summary: 'One node with its assignment, its status and its latest 50 events',
      produces: JSON_TYPE,
      responses: { 200: 'The node', 404: 'No such node' },
      async handle(request) {
        const node = await nodeOf(service, request);
        const [status] = await readStatuses(store, [node]);
        const assignment = await store.nodes.assignment(node.name);
        const events = await store.events.ofNode(node.name, 50);
        sendJson(request, { ...shownNode(node, assignment, request), status, events });
      },
    },
    {
      methods: ['PUT'],
      path: '/api/v1/nodes/{node}/assignment',
      summary: 'Sets what the node does at its next network boot, as nodeset does. With the site’s token',
      body: {
        contentType: JSON_TYPE,
        description:
          '{"target": "osimage=NAME[@GENERATION][:ENTRY]" | "osimage" | "boot" | "offline" | "shell" …, or several with commas}',
      },
      produces: JSON_TYPE,
      responses: {
        200: 'What it was set from and to',
        400: 'Not a target',
        401: 'No token, or a wrong one',
        403: 'Neither over HTTPS nor from this machine itself',
        404: 'No such node, osimage, generation or entry',
        409: 'The node would get no answer file, or lacks what it takes',
        413: 'Body too large',
        415: 'Not JSON',
      },
      async handle(request) {
        gate(request);
        const body = await readJsonBody(request.req, MAX_BODY, assignmentBody, ASSIGNMENT_SHAPE);
        const target = parseTargets(body.target);
        if (target.kind === 'stat')
          throw new HttpError('BAD_REQUEST', "'stat' sets nothing; GET the node instead");
        parseName(request.params['node'] ?? '');
        const node = await nodeOf(service, request);
        const { dhcp, xcat } = service.config;
        const { plan, current } = await prepareNodeset(
          store,
          [node],
          target,
          xcat.genesis,
          service.now(),
          dhcp.loaders,
        );
        const [refused] = plan.refused;
        if (refused !== undefined) throw new HttpError('CONFLICT', `${node.name}: ${refused.why}`);
        const before = current.get(node.name);
        await applyNodeset(store, plan, service.now(), request.client);
        const [change] = plan.changes;
        const same = describeAssignment(before);
        sendJson(request, change ?? { node: node.name, from: same, to: same });
      },
    },
    {
      methods: ['GET', 'HEAD'],
      path: '/api/v1/status',
      summary: 'Where every node is in its boot and install',
      produces: JSON_TYPE,
      responses: { 200: 'Statuses, by node name' },
      async handle(request) {
        sendJson(request, await readStatuses(store, await store.nodes.list()));
      },
    },
  ];
}

function shownNode(
  node: NodeRecord,
  assignment: AssignmentRecord | undefined,
  request: RouteRequest,
): object {
  const { attributes, ...open } = node;
  return { ...open, ...(request.isLocal ? { attributes } : {}), assignment: assignment ?? null };
}
