export { projectQuery } from './queries';
