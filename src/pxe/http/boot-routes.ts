import type { BootService } from '../boot/service.js';
import { answerRoutes } from './answer-routes.js';
import { bootScriptRoutes } from './boot-script-routes.js';
import { hypervisorRoutes } from './hypervisor-routes.js';
import { imageRoutes } from './image-routes.js';
import { isoRoutes } from './iso-routes.js';
import { loaderRoutes } from './loader-routes.js';
import { nodeIsoRoutes } from './node-iso-routes.js';
import { xcatLayoutRoutes } from '../xcat-layout/routes.js';
import { reportRoutes } from './report-routes.js';
import type { Route } from './route.js';

/** Every URL that nodes use. */
export function bootRoutes(service: BootService): Route[] {
  return [
    ...bootScriptRoutes(service),
    ...answerRoutes(service),
    ...reportRoutes(service),
    ...imageRoutes(service),
    ...hypervisorRoutes(service),
    ...isoRoutes(service),
    ...nodeIsoRoutes(service),
    ...loaderRoutes(service),
    ...xcatLayoutRoutes(service),
  ];
}
