export function probesTab(root){ return {visit(){}} }
