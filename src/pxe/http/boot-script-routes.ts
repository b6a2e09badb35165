import type { NodeRecord } from '../../store/records.js';
import { bootScript, isFromNode } from '../boot/decide-boot.js';
import { describeMachine, findMachine, type MachineIds } from '../boot/machines.js';
import type { BootPlan } from '../boot/plan.js';
import { renderGrub, renderIpxe, renderIpxeEntry, renderPxelinux } from '../boot/render.js';
import type { BootService } from '../boot/service.js';
import { notFound } from './errors.js';
import { RateLimit } from '../rate-limit.js';
import { type Route, type RouteRequest, sendText } from './route.js';

const TEXT = 'text/plain; charset=utf-8';

/** The node a path names. Throws HttpError NOT_FOUND. */
export async function nodeOf(service: BootService, request: RouteRequest): Promise<NodeRecord> {
  const name = request.params['node'] ?? '';
  const node = await service.store.nodes.get(name);
  if (node === undefined) throw notFound(`node ${name}`);
  return node;
}

/** The URLs boot loaders ask for their next step at. */
export function bootScriptRoutes(service: BootService): Route[] {
  const unknownMachines = new RateLimit({ burst: 3, perSecond: 1 / 60, keys: 1024 });
  const scriptFor = (
    path: string,
    summary: string,
    render: (plan: BootPlan, node: NodeRecord, request: RouteRequest) => string,
    extra: Partial<Route> = {},
  ): Route => ({
    methods: ['GET', 'HEAD'],
    path,
    summary,
    produces: TEXT,
    responses: { 200: 'The script', 404: 'No such node' },
    ...extra,
    async handle(request) {
      const node = await nodeOf(service, request);
      if (request.method === 'HEAD') {
        request.res.writeHead(200, { 'Content-Type': TEXT, 'Cache-Control': 'no-store' }).end();
        return;
      }
      const script = await bootScript(service, {
        node,
        client: request.client,
        render: (plan) => render(plan, node, request),
      });
      sendText(request, TEXT, script);
    },
  });
  const ipxe = (plan: BootPlan, node?: NodeRecord): string =>
    renderIpxe(plan, node === undefined ? '' : `${service.serverUrl()}/nodes/${node.name}/boot.ipxe`);

  const answerMachine = async (
    request: RouteRequest,
    ids: MachineIds,
    render: (plan: BootPlan, node?: NodeRecord) => string,
    known?: NodeRecord,
  ): Promise<void> => {
    const { client } = request;
    const node = known ?? (await findMachine(service.store.nodes, ids));
    if (node === undefined) {
      const reason = `no node has ${describeMachine(ids)}; add it with: rackboot node add`;
      if (unknownMachines.take(client, service.now())) service.log.warn({ service: 'http', client }, reason);
      sendText(request, TEXT, render({ kind: 'unknown', reason }));
      return;
    }
    if (request.method === 'HEAD') {
      request.res.writeHead(200, { 'Content-Type': TEXT, 'Cache-Control': 'no-store' }).end();
      return;
    }
    const script = await bootScript(service, { node, client, render: (plan) => render(plan, node) });
    sendText(request, TEXT, script);
  };

  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/boot.ipxe',
      summary:
        'The entry for any iPXE client. Without a query, a script that asks again with what the machine is known by; with one, the script of the node that has it',
      query: [
        { name: 'mac', description: 'MAC address of a network interface; may be repeated' },
        { name: 'uuid', description: 'SMBIOS UUID' },
        { name: 'serial', description: 'Serial number' },
      ],
      produces: TEXT,
      responses: { 200: 'The script. A machine that no node describes is told to boot from its disk' },
      async handle(request) {
        const { query } = request;
        const isAsking = query.has('mac') || query.has('uuid') || query.has('serial');
        if (!isAsking) {
          sendText(request, TEXT, renderIpxeEntry(`${service.serverUrl()}/boot.ipxe`));
          return;
        }
        const ids = {
          macs: query.getAll('mac').slice(0, 8),
          uuid: query.get('uuid'),
          serial: query.get('serial'),
        };
        await answerMachine(request, ids, ipxe);
      },
    },
    {
      methods: ['GET', 'HEAD'],
      path: '/grub.cfg',
      summary:
        'What the node with that MAC address, or without one at the asking address, does now, as a GRUB configuration; our own GRUB asks here',
      query: [{ name: 'mac', description: 'MAC address of the network interface' }],
      produces: TEXT,
      responses: { 200: 'The script. A machine that no node describes is told to boot from its disk' },
      async handle(request) {
        const macs = request.query.getAll('mac').filter((mac) => mac !== '');
        const ids = { macs: macs.slice(0, 8), uuid: null, serial: null };
        // Booted by HTTP, GRUB asks DHCP for itself and cannot name its card.
        const node = macs.length === 0 ? await service.store.nodes.byIp(request.client) : undefined;
        await answerMachine(request, ids, (plan) => renderGrub(plan, 'http'), node);
      },
    },
    scriptFor('/nodes/{node}/boot.ipxe', 'What the node does now, as an iPXE script', ipxe),
    scriptFor(
      '/nodes/{node}/pxelinux.cfg',
      'What the node does now, as a PXELINUX configuration (its files come over TFTP)',
      renderPxelinux,
    ),
    scriptFor(
      '/nodes/{node}/grub.cfg',
      'What the node does now, as a GRUB configuration',
      (plan, _node, request) => renderGrub(plan, request.query.get('files') === 'tftp' ? 'tftp' : 'http'),
      { query: [{ name: 'files', description: '`tftp`: kernel and archives over TFTP instead of HTTP' }] },
    ),
  ];
}

/** The node that has the address `client`, or undefined: whose transfer it is. */
export async function nodeAt(service: BootService, client: string): Promise<NodeRecord | undefined> {
  const node = await service.store.nodes.byIp(client);
  return node !== undefined && isFromNode(node, client) ? node : undefined;
}
