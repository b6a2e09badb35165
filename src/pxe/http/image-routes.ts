import { matchesGlob } from '../../node/glob.js';
import { endInstall, oneLine, tellFollowing } from '../../node/report.js';
import type { AssignmentRecord, NodeRecord } from '../../store/records.js';
import { HTTP_LIMITS, limitsOf } from '../../site/limits-config.js';
import type { Artifact } from '../../osimage/types.js';
import { encodePath } from '../boot/arguments.js';
import { stageOf } from '../boot/artifact-stage.js';
import type { ServedGeneration } from '../boot/generations.js';
import type { BootService } from '../boot/service.js';
import { Admission, TRANSFERS_PER_RACK } from './admission.js';
import { nodeAt } from './boot-script-routes.js';
import { contentTypeOf } from './content-type.js';
import { notFound } from './errors.js';
import { rackOf } from './rack.js';
import type { Route, RouteRequest } from './route.js';
import { sendBytes } from './send-bytes.js';

/** What never changes under its URL. */
export const IMMUTABLE = 'public, max-age=31536000, immutable';

const BYTES = {
  200: 'The file',
  206: 'The ranges asked for; several come as multipart/byteranges, more than 16 as the whole file',
  304: 'The client’s copy is the same',
  404: 'No such generation or file',
  412: 'If-Match names another file',
  416: 'The range lies outside',
} as const;

/** The files of generations, and the current generation of an osimage by redirect. */
export function imageRoutes(service: BootService): Route[] {
  const { config } = service;
  const transfers = config.http.transfersPerRack ?? TRANSFERS_PER_RACK;
  const { transfersPerClient, transferWait } = limitsOf(HTTP_LIMITS, config.http.limits);
  const admission = new Admission(
    { transfers, perClient: transfersPerClient, waiting: transfers, waitMs: transferWait * 1000 },
    service.now,
  );
  const branch = (name: 'files' | 'tree', summary: string): Route => ({
    methods: ['GET', 'HEAD'],
    path: `/images/{image}/${name}/{path...}`,
    summary,
    produces: 'application/octet-stream',
    responses:
      name === 'tree'
        ? { ...BYTES, 302: 'To the current generation, when the URL names none' }
        : {
            ...BYTES,
            503: 'As many transfers as http.transfersPerRack run in the rack; Retry-After says when to ask again',
          },
    async handle(request) {
      const { image = '', path = '' } = request.params;
      if (name === 'tree' && !image.includes('@')) {
        await redirectToCurrent(service, request, (id) => `/images/${image}@${id}/tree/${path}`);
        return;
      }
      const generation = await service.generations.named(image);
      const artifact = generation?.artifact(name, path);
      if (generation === undefined || artifact === undefined) throw notFound(`${path} in ${image}/${name}`);
      // Only what boot scripts fetch, as they ask again; many installers do not. A proxy fetches for all racks.
      const isProxy = config.http.proxies?.includes(request.client) === true;
      const leave =
        name === 'files' && request.method === 'GET' && !isProxy
          ? await admission.enter(
              rackOf(request.client, config.dhcp.subnets),
              request.client,
              goneSignal(request),
            )
          : undefined;
      try {
        await sendArtifact(service, request, generation, artifact, name);
      } finally {
        leave?.();
      }
    },
  });
  return [
    branch(
      'files',
      'A boot file or archive of a generation; `{image}` is `<osimage>@<generation id>`, at least 12 digits of it',
    ),
    branch('tree', 'A file of the install tree of a generation, or of the current one'),
  ];
}

/** Fires when the client goes away. */
function goneSignal({ res }: RouteRequest): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  return gone.signal;
}

/** Redirects to what `to` makes of the id of the current generation. Throws HttpError NOT_FOUND. */
export async function redirectToCurrent(
  service: BootService,
  request: RouteRequest,
  to: (id: string) => string,
): Promise<void> {
  const osimage = request.params['image'] ?? '';
  const current = await service.generations.current(osimage);
  if (current === undefined) throw notFound(`osimage ${osimage}`);
  request.res.writeHead(302, {
    Location: encodePath(to(current.id)),
    'Content-Length': 0,
    'Cache-Control': 'no-store',
  });
  request.res.end();
}

async function sendArtifact(
  service: BootService,
  request: RouteRequest,
  generation: ServedGeneration,
  artifact: Artifact,
  branch: 'files' | 'tree',
): Promise<void> {
  const node = await nodeAt(service, request.client);
  // Looked up before the first byte: a transfer must not end an assignment made while it ran.
  const ended =
    node !== undefined && branch === 'tree'
      ? await installEndedBy(service, node, generation, artifact.path)
      : undefined;
  const release = await service.holds.during(generation.osimage, generation.id);
  const transfer = service.transfers.begin({
    node: node?.name ?? null,
    client: request.client,
    stage: branch === 'tree' ? 'tree' : stageOf(generation.manifest, artifact.path),
    path: artifact.path,
    size: artifact.size,
    generation: generation.id,
  });
  let result = { bytes: 0, isComplete: false, isWhole: false };
  try {
    result = await sendBytes(
      request,
      {
        size: artifact.size,
        sha256: artifact.sha256,
        contentType: contentTypeOf(artifact.path),
        cacheControl: IMMUTABLE,
        read: (start, end) => service.generations.read(artifact, start, end),
        pieces: (start, end) => service.generations.pieces(artifact, start, end),
      },
      (bytes) => transfer.sent(bytes),
    );
  } finally {
    transfer.end(result);
    release();
  }
  if (ended !== undefined && result.isWhole)
    await endFetched(service, ended, generation, artifact.path, request.client);
}

/**
 * The install that ends, with `install.done: fetched`, when the node has fetched `path` of the tree whole: the one the
 * node is set to and has a boot script of this generation for.
 */
async function installEndedBy(
  service: BootService,
  node: NodeRecord,
  generation: ServedGeneration,
  path: string,
): Promise<AssignmentRecord | undefined> {
  const { done, lastFile } = service.config.install;
  if (done !== 'fetched' || lastFile === undefined || !matchesGlob(lastFile, path)) return undefined;
  const assignment = await service.store.nodes.assignment(node.name);
  if (assignment?.state !== 'osimage' || assignment.osimage !== generation.osimage) return undefined;
  const script = await service.store.events.latest(node.name, 'script');
  const isOfScript = script?.generation === generation.id && script.at >= assignment.since;
  return isOfScript ? assignment : undefined;
}

async function endFetched(
  service: BootService,
  assignment: AssignmentRecord,
  generation: ServedGeneration,
  path: string,
  client: string,
): Promise<void> {
  const next = await endInstall(service.store, assignment, assignment.since, service.now());
  if (next === undefined) return;
  await service.store.events.append({
    at: service.now(),
    node: assignment.node,
    stage: 'installed',
    detail: oneLine(`fetched ${path}`),
    bytes: null,
    ms: null,
    generation: generation.id,
    client,
  });
  await tellFollowing(service.store, next, service.now());
}
