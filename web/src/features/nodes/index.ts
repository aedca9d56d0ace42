export { NodeDialog } from './ui/NodeDialog';
export { ResyncDialog } from './ui/ResyncDialog';
