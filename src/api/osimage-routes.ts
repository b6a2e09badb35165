import { shownLine } from '../osimage/hidden-words.js';
import type { BootService } from '../pxe/boot/service.js';
import { notFound } from '../pxe/http/errors.js';
import { type Route, sendJson } from '../pxe/http/route.js';

const JSON_TYPE = 'application/json';

/** What can be booted. */
export function osimageRoutes(service: BootService): Route[] {
  const { osimages } = service.store;
  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/api/v1/osimages',
      summary: 'Every osimage with its current generation',
      produces: JSON_TYPE,
      responses: { 200: 'Osimages, by name' },
      async handle(request) {
        sendJson(request, await osimages.list());
      },
    },
    {
      methods: ['GET', 'HEAD'],
      path: '/api/v1/osimages/{osimage}/history',
      summary: 'The generations of an osimage, newest first',
      produces: JSON_TYPE,
      responses: { 200: 'Generations', 404: 'No such osimage' },
      async handle(request) {
        const name = request.params['osimage'] ?? '';
        const osimage = await osimages.get(name);
        if (osimage === undefined) throw notFound(`osimage ${name}`);
        const history = await osimages.history(name);
        sendJson(
          request,
          history.map(({ id, number, parent, createdAt, note }) => ({
            id,
            number,
            parent,
            createdAt,
            note: shownLine(note),
            isCurrent: id === osimage.current,
          })),
        );
      },
    },
  ];
}
