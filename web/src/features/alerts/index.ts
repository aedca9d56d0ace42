export { alertsQuery } from './queries';
