import type { ServerResponse } from 'node:http';
import { messageOf } from '../../errors.js';
import { readRun } from '../../node/run-token.js';
import { oneLine } from '../../node/report.js';
import { fillAnswer } from '../../osimage/answer.js';
import type { AssignmentRecord, NodeRecord } from '../../store/records.js';
import { bootVariables, generationFor, withRun } from '../boot/decide-boot.js';
import type { ServedGeneration } from '../boot/generations.js';
import type { BootService } from '../boot/service.js';
import { nodeOf } from './boot-script-routes.js';
import { HttpError, notFound } from './errors.js';
import { RateLimit } from '../rate-limit.js';
import type { Route, RouteRequest } from './route.js';

/**
 * The answer file of a node. It may hold passwords: it goes out once for each boot script, only to the address that
 * script was given to, and only while the node is set to install.
 */
export function answerRoutes(service: BootService): Route[] {
  const attempts = new RateLimit({ burst: 20, perSecond: 0.5, keys: 4096 });
  return [
    {
      methods: ['GET'],
      path: '/nodes/{node}/answerfile',
      summary: 'The node’s answer file, once for each boot script, only while the node is set to install',
      query: [{ name: 'token', description: 'The one-time token of the node’s boot script' }],
      produces: 'text/plain; charset=utf-8',
      responses: {
        200: 'The answer file',
        403: 'Not set to install, or not the node’s token, address or run',
        404: 'No such node, or its generation has no answer file',
        429: 'Too many attempts',
      },
      async handle(request) {
        if (!attempts.take(request.client, service.now())) {
          throw new HttpError(
            'TOO_MANY_REQUESTS',
            'too many attempts at answer files from this address; wait a minute',
          );
        }
        const node = await nodeOf(service, request);
        await serveAnswer(service, request, node);
      },
    },
  ];
}

async function serveAnswer(service: BootService, request: RouteRequest, node: NodeRecord): Promise<void> {
  const { client } = request;
  const [, token = '', runText = ''] = /^([^.]+)\.(.+)$/.exec(request.query.get('token') ?? '') ?? [];
  const run = readRun(service.runKey, node.name, runText);
  if (run === undefined) throw refusal(node, 'the URL carries no token of its boot script');
  const assignment = await service.store.nodes.assignment(node.name);
  if (assignment?.state !== 'osimage') throw refusal(node, 'it is not set to install');
  const generation = await generationOfRun(service, assignment, run);
  if (generation === undefined) throw refusal(node, 'it was set again since its boot script; boot it again');
  const { answer } = generation.manifest;
  if (answer === undefined) throw notFound(`answer file in ${generation.osimage}`);
  const text = Buffer.from(await renderAnswer(service, node, generation, answer, assignment));
  const began = service.now();
  if (!(await service.store.tokens.consume(token, node.name, client, began))) {
    throw refusal(node, 'its token was used, has expired, or was given to another address; boot it again');
  }
  const { res } = request;
  res.writeHead(200, {
    'Content-Type': answer.contentType,
    'Content-Length': text.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // So that the end of the connection shows whether the answer arrived.
    Connection: 'close',
  });
  const arrived = arrival(res);
  res.end(text);
  if (!(await arrived)) {
    await service.store.tokens.restore(token);
    service.log.warn({ node: node.name, client }, 'answer file: the connection broke; its token works again');
    return;
  }
  service.log.info({ node: node.name, client }, `answer file sent to ${node.name}`);
  await service.store.events.append({
    at: service.now(),
    node: node.name,
    stage: 'answer',
    detail: answer.name,
    bytes: text.length,
    ms: service.now() - began,
    generation: generation.id,
    client,
  });
}

/** The generation the run was signed for, when that still is the assignment's run; an image swapped meanwhile changes nothing. */
async function generationOfRun(
  service: BootService,
  assignment: AssignmentRecord,
  run: { readonly since: number; readonly generation: string },
): Promise<ServedGeneration | undefined> {
  if (run.since !== assignment.since || assignment.osimage === null) return undefined;
  const assigned = await generationFor(service, assignment);
  if (assigned?.id.startsWith(run.generation) === true) return assigned;
  return service.generations.named(`${assignment.osimage}@${run.generation}`);
}

async function renderAnswer(
  service: BootService,
  node: NodeRecord,
  generation: ServedGeneration,
  answer: NonNullable<ServedGeneration['manifest']['answer']>,
  assignment: AssignmentRecord,
): Promise<string> {
  const entry = assignment.entry ?? generation.manifest.boot[0]?.label ?? '';
  const variables = bootVariables(service, node, generation, entry);
  const run = { node: node.name, since: assignment.since, generation: generation.id };
  const template = await service.generations.text(answer.template);
  try {
    return fillAnswer(answer, template, generation.manifest.tree, withRun(variables, service.runKey, run));
  } catch (error) {
    service.log.error({ node: node.name }, `answer file: ${messageOf(error)}`);
    await service.store.events.append({
      at: service.now(),
      node: node.name,
      stage: 'failed',
      detail: oneLine(`answer file: ${messageOf(error)}`),
      bytes: null,
      ms: null,
      generation: generation.id,
      client: null,
    });
    throw error;
  }
}

/** Resolves when the response's connection has ended: true when it was sent whole and not cut off. */
function arrival(res: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    let finished = false;
    const { socket } = res;
    res.once('finish', () => (finished = true));
    if (socket === null) {
      resolve(false);
      return;
    }
    socket.once('close', (hadError) => resolve(finished && !hadError));
  });
}

function refusal(node: NodeRecord, why: string): HttpError {
  return new HttpError('FORBIDDEN', `no answer file for ${node.name}: ${why}`);
}
