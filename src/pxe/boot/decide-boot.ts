import { messageOf, RackbootError } from '../../errors.js';
import { nodeVariables, type BootVariables } from '../../node/boot-variables.js';
import { signRun, type Run } from '../../node/run-token.js';
import { shortId } from '../../osimage/manifest.js';
import type { AssignmentRecord, NodeRecord } from '../../store/records.js';
import type { ServedGeneration } from './generations.js';
import { planLinux, type BootPlan } from './plan.js';
import type { BootService } from './service.js';

/** Who asks for a node's boot script, and what may be given away for it. */
export interface BootRequest {
  readonly node: NodeRecord;
  readonly client: string; // address
}

/**
 * What the node is to do now, ready to be rendered. Only its own address is given tokens, and asking changes nothing
 * but what lets the boot go on: the one-time token, the lease on its generation, an event. A boot that cannot be
 * described falls back to the local disk and says why.
 */
export async function decideBoot(service: BootService, request: BootRequest): Promise<BootPlan> {
  const { node } = request;
  const assignment = await service.store.nodes.assignment(node.name);
  let plan: BootPlan;
  let generation: ServedGeneration | undefined;
  try {
    generation = await generationFor(service, assignment);
    plan =
      assignment === undefined || generation === undefined
        ? { kind: 'local', node: node.name, reason: reasonFor(assignment) }
        : await planInstall(service, request, assignment, generation);
  } catch (error) {
    if (!(error instanceof RackbootError)) throw error;
    service.log.error({ node: node.name }, `no boot script: ${messageOf(error)}`);
    plan = { kind: 'local', node: node.name, reason: messageOf(error) };
  }
  if (isFromNode(node, request.client) || node.ip === null) {
    await service.store.events.append({
      at: service.now(),
      node: node.name,
      stage: 'script',
      detail: plan.kind === 'linux' ? plan.what : `local disk: ${plan.reason}`,
      bytes: null,
      ms: null,
      generation: plan.kind === 'linux' ? (generation?.id ?? null) : null,
      client: request.client,
    });
  }
  return plan;
}

/** Whether `client` is the address reserved for `node`; nobody else speaks for it. */
export function isFromNode(node: NodeRecord, client: string): boolean {
  return node.ip !== null && node.ip === client;
}

/** The generation the assignment means now; undefined when it is not to install. Throws when it is gone. */
export async function generationFor(
  service: BootService,
  assignment: AssignmentRecord | undefined,
): Promise<ServedGeneration | undefined> {
  if (assignment?.state !== 'osimage' || assignment.osimage === null) return undefined;
  const { osimage, generation } = assignment;
  const found =
    generation === null
      ? await service.generations.current(osimage)
      : await service.generations.find(osimage, generation);
  if (found === undefined) throw new GoneError(osimage, generation);
  return found;
}

class GoneError extends RackbootError<'NO_SUCH_GENERATION'> {
  constructor(osimage: string, generation: string | null) {
    const what =
      generation === null ? `osimage ${osimage}` : `generation ${shortId(generation)} of ${osimage}`;
    super('NO_SUCH_GENERATION', `${what} is gone; set the node again with: rackboot nodeset`);
  }
}

async function planInstall(
  service: BootService,
  request: BootRequest,
  assignment: AssignmentRecord,
  generation: ServedGeneration,
): Promise<BootPlan> {
  const { node, client } = request;
  const { boot, answer } = generation.manifest;
  const entry = assignment.entry === null ? boot[0] : boot.find(({ label }) => label === assignment.entry);
  if (entry === undefined) {
    const reason = `osimage ${generation.osimage} has no boot entry ${assignment.entry ?? ''}`.trimEnd();
    return { kind: 'local', node: node.name, reason };
  }
  const expiresAt = service.now() + service.config.serve.holdGenerations * 1000;
  await service.store.leases.holdGeneration({
    kind: 'boot',
    holder: node.name,
    osimage: generation.osimage,
    generation: generation.id,
    expiresAt,
  });
  const variables = bootVariables(service, node, generation, entry.label);
  if (!isFromNode(node, client)) {
    return planLinux(entry, variables, `no answer file token: ${whyNotFrom(node, client)}`);
  }
  const run = signRun(service.runKey, {
    node: node.name,
    since: assignment.since,
    generation: generation.id,
  });
  // Rendered once without a token, so that a faulty entry does not use up the token of the script before.
  planLinux(entry, variables);
  const token =
    answer === undefined
      ? undefined
      : await service.store.tokens.issue({
          node: node.name,
          generation: generation.id,
          client,
          expiresAt: service.now() + service.config.install.tokenTtl * 1000,
        });
  return planLinux(entry, {
    ...variables,
    report: `${variables.report}?run=${run}`,
    ...(token === undefined ? {} : { answerfile: `${variables.answerfile}?token=${token}.${run}` }),
  });
}

/** The variables of `node` booting `entry` of `generation`, with URLs that carry no token. */
export function bootVariables(
  service: Pick<BootService, 'serverUrl' | 'config'>,
  node: NodeRecord,
  generation: Pick<ServedGeneration, 'osimage' | 'id' | 'manifest'>,
  entry: string,
): BootVariables {
  const url = service.serverUrl();
  const image = `${url}/images/${generation.osimage}@${generation.id}`;
  return {
    node: nodeVariables(node),
    server: { url, address: new URL(url).hostname.replace(/^\[|\]$/g, '') },
    site: service.config.name,
    osimage: generation.osimage,
    generation: generation.id,
    entry,
    settings: generation.manifest.inputs.settings,
    files: `${image}/files`,
    tree: `${image}/tree`,
    answerfile: `${url}/nodes/${node.name}/answerfile`,
    report: `${url}/nodes/${node.name}/report`,
  };
}

/** The same variables with a report URL that speaks for `run`; for an ISO, whose maker decides who gets it. */
export function withRun(variables: BootVariables, key: Buffer, run: Run): BootVariables {
  return { ...variables, report: `${variables.report}?run=${signRun(key, run)}` };
}

/** Why `client` is not taken for `node`, with the mend. */
export function whyNotFrom(node: NodeRecord, client: string): string {
  return node.ip === null
    ? `no address is reserved for ${node.name}; reserve one with: rackboot node set ${node.name} --ip ADDRESS`
    : `asked for from ${client}, which is not the address of ${node.name} (${node.ip})`;
}

function reasonFor(assignment: AssignmentRecord | undefined): string {
  if (assignment === undefined) return 'it was never set to anything else';
  return assignment.state === 'offline' ? 'it is set offline' : 'it is set to boot';
}
