export function compareTab(root){ return {visit(){}} }
