import { describeAssignment } from '../../node/nodeset.js';
import { MAX_DETAIL, takeNext, takeReport } from '../../node/report.js';
import { readRun } from '../../node/run-token.js';
import type { AssignmentRecord } from '../../store/records.js';
import { isFromNode, whyNotFrom } from '../boot/decide-boot.js';
import type { BootService } from '../boot/service.js';
import { whyNotByMac } from '../reporter.js';
import { neighbourMac } from '../tftp/neighbours.js';
import { readBody } from './body.js';
import { nodeOf } from './boot-script-routes.js';
import { HttpError } from './errors.js';
import { RateLimit } from '../rate-limit.js';
import { type Route, sendText } from './route.js';

const MAX_BODY = 4096;

/** Writes into the log what a node reports, and what it is set to afterwards when that changed. */
export function logReport(
  log: BootService['log'],
  { node, stage, client }: { readonly node: string; readonly stage: string; readonly client: string },
  next: AssignmentRecord | undefined,
): void {
  const then =
    next === undefined
      ? ''
      : next.state === 'boot'
        ? '; it boots from its disk from now on'
        : `; it is set to ${describeAssignment(next)} now`;
  log.info({ node, client, stage }, `${node} reports ${stage}${then}`);
}

/**
 * Where a node says how far it is. Only its own address, with its own MAC address where `macOf` knows it, or a URL that was
 * signed for it, speaks for it.
 */
export function reportRoutes(
  service: BootService,
  macOf: (address: string) => Promise<string | undefined> = neighbourMac,
): Route[] {
  const reports = new RateLimit({ burst: 20, perSecond: 1, keys: 4096 });
  return [
    {
      methods: ['GET', 'POST'],
      path: '/nodes/{node}/report',
      summary: 'A node reports a stage. GET does it too: the wget of many installers cannot POST',
      query: [
        {
          name: 'stage',
          description:
            'installing, installed, failed, or a word of the installer’s own; next: what it was booted for is done',
        },
        { name: 'detail', description: `What is going on, at most ${MAX_DETAIL} characters are kept` },
        { name: 'run', description: 'Signature of the boot script or ISO that gave the URL' },
      ],
      body: {
        contentType: 'application/x-www-form-urlencoded',
        description: 'stage and detail, instead of in the query',
      },
      produces: 'text/plain; charset=utf-8',
      responses: {
        200: 'Taken',
        400: 'No such stage',
        403: 'Neither the node’s own address, with its own MAC address, nor a URL signed for it',
        404: 'No such node',
        413: 'Body too large',
        429: 'Too many reports',
      },
      async handle(request) {
        const { client, query } = request;
        if (!reports.take(client, service.now())) {
          throw new HttpError(
            'TOO_MANY_REQUESTS',
            'too many reports from this address; one a second is enough',
          );
        }
        const node = await nodeOf(service, request);
        const runText = query.get('run');
        const run = runText === null ? undefined : readRun(service.runKey, node.name, runText);
        if (runText !== null && run === undefined) {
          throw new HttpError('FORBIDDEN', `this report URL was not made for ${node.name}`);
        }
        if (run === undefined && !isFromNode(node, client)) {
          throw new HttpError(
            'FORBIDDEN',
            `no report for ${node.name} from here: ${whyNotFrom(node, client)}`,
          );
        }
        const impostor = run === undefined ? whyNotByMac(node, await macOf(client)) : undefined;
        if (impostor !== undefined)
          throw new HttpError('FORBIDDEN', `no report for ${node.name} from here: ${impostor}`);
        const form = new URLSearchParams(
          request.method === 'POST' ? await readBody(request.req, MAX_BODY) : '',
        );
        const field = (name: string): string => query.get(name) ?? form.get(name) ?? '';
        const stage = field('stage');
        const from = run === undefined ? {} : { run };
        const report = { node: node.name, stage, detail: field('detail'), client, ...from };
        const taken =
          stage === 'next'
            ? await takeNext(service.store, report, service.now())
            : await takeReport(service.store, report, service.now());
        logReport(service.log, report, 'next' in taken ? taken.next : undefined);
        sendText(request, 'text/plain; charset=utf-8', 'ok\n');
      },
    },
  ];
}
