"""NRI (Node Resource Interface 1.x): plugins that see pods and containers and adjust them. Enter by `facade.Nri`."""
