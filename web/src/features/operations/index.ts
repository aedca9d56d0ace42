export { activeOperationsQuery, began, clusterOperationsQuery, isMine, operationQuery, recentOperationsQuery, useChoose } from './queries';
export { barOf, choices, title, tray } from './model';
export { ObjectBar } from './ui/ObjectBar';
export { OperationSteps } from './ui/OperationSteps';
