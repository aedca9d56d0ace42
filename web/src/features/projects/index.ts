export { projectQuery } from './queries';
export { NewProjectDialog } from './ui/NewProjectDialog';
