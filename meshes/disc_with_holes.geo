// A disc of radius 1 with two holes, whose boundaries have a tag of their own. Remade by
//   docker/env.sh run gmsh meshes/disc_with_holes.geo -2 -format msh41
SetFactory("OpenCASCADE");
Disk(1) = {0, 0, 0, 1};
Disk(2) = {-0.4, 0.1, 0, 0.25};
Disk(3) = {0.45, -0.2, 0, 0.2};
BooleanDifference(4) = {Surface{1}; Delete;} {Surface{2, 3}; Delete;};
Mesh.MeshSizeMin = 0.12;
Mesh.MeshSizeMax = 0.12;
outer() = Curve In BoundingBox {-1.1, -1.1, -0.1, 1.1, 1.1, 0.1};
left() = Curve In BoundingBox {-0.7, -0.2, -0.1, -0.1, 0.4, 0.1};
right() = Curve In BoundingBox {0.2, -0.45, -0.1, 0.7, 0.05, 0.1};
outer() -= left();
outer() -= right();
Physical Curve("outside", 1) = outer();
Physical Curve("holes", 2) = {left(), right()};
Physical Surface("domain", 1) = {4};
