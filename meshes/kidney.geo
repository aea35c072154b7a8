// A curved, non-convex part of the window of demos/data/ch_crop.npz (0 < x, y < 0.75). Remade by
//   docker/env.sh run gmsh meshes/kidney.geo -2 -format msh22
size = 0.035;
Point(1) = {0.08, 0.42, 0, size};
Point(2) = {0.10, 0.16, 0, size};
Point(3) = {0.38, 0.06, 0, size};
Point(4) = {0.65, 0.15, 0, size};
Point(5) = {0.69, 0.40, 0, size};
Point(6) = {0.62, 0.62, 0, size};
Point(7) = {0.49, 0.58, 0, size};
Point(8) = {0.40, 0.46, 0, size};
Point(9) = {0.31, 0.56, 0, size};
Point(10) = {0.18, 0.63, 0, size};
Spline(1) = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1};
Curve Loop(1) = {1};
Plane Surface(1) = {1};
Physical Curve("data", 1) = {1};
Physical Surface("domain", 1) = {1};
