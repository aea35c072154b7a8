// The T of PFHub benchmark 1c: a stem of 20 x 100 below a bar of 100 x 20. Remade by
//   docker/env.sh run gmsh meshes/t_shape.geo -2 -format msh22
size = 5;
Point(1) = {0, 0, 0, size};
Point(2) = {20, 0, 0, size};
Point(3) = {20, 100, 0, size};
Point(4) = {60, 100, 0, size};
Point(5) = {60, 120, 0, size};
Point(6) = {-40, 120, 0, size};
Point(7) = {-40, 100, 0, size};
Point(8) = {0, 100, 0, size};
Line(1) = {1, 2}; Line(2) = {2, 3}; Line(3) = {3, 4}; Line(4) = {4, 5};
Line(5) = {5, 6}; Line(6) = {6, 7}; Line(7) = {7, 8}; Line(8) = {8, 1};
Curve Loop(1) = {1 ... 8};
Plane Surface(1) = {1};
Physical Curve("boundary", 1) = {1 ... 8};
Physical Surface("domain", 1) = {1};
