import { deriveSecret } from '../../node/run-token.js';
import type { AssignmentRecord, NodeRecord } from '../../store/records.js';
import { generationFor, isFromNode } from '../boot/decide-boot.js';
import type { ServedGeneration } from '../boot/generations.js';
import { LeastRecent } from '../boot/least-recent.js';
import type { BootService } from '../boot/service.js';
import { nodeOf } from './boot-script-routes.js';
import { HttpError } from './errors.js';
import { IsoDesk } from './iso-desk.js';
import { ISO_BYTES, ISO_TYPE, sendIso } from './iso-routes.js';
import type { Route, RouteRequest } from './route.js';

/** How many nodes’ ISOs stay laid out, and for how many it stays known which generation they hold. */
const KEPT = 64;
const KNOWN = 16_384;

/** Where firmware and loaders find that they can boot from the medium, in bytes: boot sector, GPT, volume descriptors. */
const BOOT_AREA = 64 * 1024;

/** How the history tells that a node’s ISO was laid out for a run, of which generation. */
const LAID_OUT = 'ISO for virtual media: ';

/** The ISO that a node’s assignment stands for: its bytes stay the same until the node is set again. */
interface NodeRun {
  readonly since: number;
  readonly generation: ServedGeneration;
  readonly token: string;
}

/**
 * A node's own ISO, which reports for it and fetches its answer file: for the virtual drive of its BMC. The ISO is a
 * function of generation, assignment and site key, so that a restarted server, or another one, serves the same bytes.
 */
export function nodeIsoRoutes(service: BootService): Route[] {
  const isos = new IsoDesk(service, KEPT);
  const runs = new LeastRecent<NodeRun>(KNOWN);

  const handle = async (request: RouteRequest): Promise<void> => {
    const node = await nodeOf(service, request);
    requireOwn(node, request.client);
    const assignment = await service.store.nodes.assignment(node.name);
    const isInstalling = assignment?.state === 'osimage';
    const run = isInstalling ? await runOf(service, runs, node, assignment) : runs.get(node.name);
    if (run === undefined) throw notInstalling(node);
    const key = `${node.name} ${run.since}`;
    const release = await service.holds.during(run.generation.osimage, run.generation.id);
    try {
      const iso = await (isInstalling
        ? isos.layOut(key, run.generation, { node, netinstall: false, answerToken: run.token })
        : isos.kept(key));
      if (iso === undefined) throw notInstalling(node);
      const onRead = async (start: number): Promise<void> => {
        if (start >= BOOT_AREA) return;
        // An installer that has reported may still read its medium, but nothing boots from it any more.
        if (!isInstalling) throw notInstalling(node);
        await renewToken(service, node, run);
      };
      const of = { node: node.name, generation: run.generation.id };
      await sendIso(service, request, iso, of, { cacheControl: 'no-store', onRead });
    } finally {
      release();
    }
  };
  return ['/iso', '.iso'].map((ending) => ({
    methods: ['GET', 'HEAD'],
    path: `/nodes/{node}${ending}`,
    summary: `The node’s own ISO, which installs what the node is set to. Only for the node’s address and those in its attribute bmc${ending === '.iso' ? '. The same as /nodes/{node}/iso, for a BMC that wants the ending' : ''}`,
    produces: ISO_TYPE,
    responses: {
      ...ISO_BYTES,
      403: 'Neither the node’s own address nor its BMC’s',
      404: 'No such node',
      409: 'Not set to install, or the install has ended and this is the part machines boot from',
    },
    handle,
  }));
}

/** The run of `assignment`: what it stood for when its ISO was first asked for. */
async function runOf(
  service: BootService,
  runs: LeastRecent<NodeRun>,
  node: NodeRecord,
  assignment: AssignmentRecord,
): Promise<NodeRun | undefined> {
  const known = runs.get(node.name);
  if (known?.since === assignment.since) return known;
  const generation =
    (await generationBefore(service, assignment)) ?? (await generationFor(service, assignment));
  if (generation === undefined) return undefined;
  const { since } = assignment;
  const token = deriveSecret(service.runKey, `iso\0${node.name}\0${since}\0${generation.id}`);
  const run = { since, generation, token };
  runs.set(node.name, run);
  return run;
}

/** The generation that the ISO of this assignment already was made of, before the server was started again. */
async function generationBefore(
  service: BootService,
  assignment: AssignmentRecord,
): Promise<ServedGeneration | undefined> {
  const script = await service.store.events.latest(assignment.node, 'script');
  if (script?.generation == null || script.at < assignment.since || !script.detail.startsWith(LAID_OUT))
    return undefined;
  return assignment.osimage === null
    ? undefined
    : service.generations.find(assignment.osimage, script.generation);
}

/** Lets the answer file be fetched once more: the start of the medium is read when a machine boots from it. */
async function renewToken(service: BootService, node: NodeRecord, run: NodeRun): Promise<void> {
  const { store, config, now } = service;
  const { osimage, id, manifest } = run.generation;
  const expiresAt = now() + config.serve.holdGenerations * 1000;
  const subject = { generation: id, expiresAt };
  await store.leases.holdGeneration({ kind: 'boot', holder: node.name, osimage, ...subject });
  if (node.ip !== null && manifest.answer !== undefined)
    await store.tokens.renew(run.token, { node: node.name, client: node.ip, ...subject });
  const before = await store.events.latest(node.name, 'script');
  if (before?.generation === id && before.at >= run.since && before.detail.startsWith(LAID_OUT)) return;
  await store.events.append({
    at: now(),
    node: node.name,
    stage: 'script',
    detail: `${LAID_OUT}${osimage}`,
    bytes: null,
    ms: null,
    generation: id,
    client: node.ip,
  });
}

/** Refuses whoever is neither the node nor its BMC: the ISO carries the right to the answer file. */
function requireOwn(node: NodeRecord, client: string): void {
  const bmc = node.attributes['bmc'] ?? '';
  if (isFromNode(node, client) || bmc.split(/[\s,]+/).includes(client)) return;
  throw new HttpError(
    'FORBIDDEN',
    `no ISO of ${node.name} from here: ${client} is neither its address nor its BMC’s; if it is, say so with: rackboot node set ${node.name} --attr bmc=${client}`,
  );
}

function notInstalling(node: NodeRecord): HttpError {
  return new HttpError(
    'NO_ISO',
    `${node.name} is not set to install, so it has no ISO; set it with: rackboot nodeset ${node.name} osimage=NAME`,
  );
}
