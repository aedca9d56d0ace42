export {
  clusterQuery,
  clustersQuery,
  deletePlanQuery,
  enginesQuery,
  loadCredentials,
  schedulesQuery,
  snapshotStoragesQuery,
  storageNamesQuery,
  useBackUp,
  useCreateCluster,
  useDeleteCluster,
  usePatchCluster,
  useVerb,
  verbPlanQuery,
  type Planned,
} from './queries';
export { engineTitle, modeTitle, needsAttention, recoverabilityOf, toneOf } from './model';
export { DialogContext, useDialog, type Dialog } from './ui/dialogContext';
